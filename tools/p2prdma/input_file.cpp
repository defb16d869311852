// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/input_file.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

std::uint64_t size_of(int fd, const std::string& path)
{
    struct stat status = {};
    if (::fstat(fd, &status) < 0)
        throw system_failure(errno, "cannot read " + path);
    if (S_ISDIR(status.st_mode))
        throw Failure(Exit::failed, "not_a_file", path + " is a directory");
    if (!S_ISREG(status.st_mode))
        throw Failure(Exit::failed, "not_a_file", path + " is not a regular file");
    return static_cast<std::uint64_t>(status.st_size);
}

} // namespace

InputFile::InputFile(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))
{
    if (!fd_ && errno == ENOENT)
        throw Failure(Exit::failed, "no_such_file", "there is no file " + path);
    if (!fd_)
        throw system_failure(errno, "cannot open " + path);
    size_ = size_of(fd_.get(), path);
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> into) const
{
    while (!into.empty()) {
        const auto got = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            throw system_failure(errno, "cannot read " + path_);
        if (got == 0)
            throw Failure(Exit::failed, "file_changed", path_ + " became shorter while being sent");
        offset += static_cast<std::uint64_t>(got);
        into = into.subspan(static_cast<std::size_t>(got));
    }
}

void InputFile::check_size() const
{
    if (size_of(fd_.get(), path_) != size_)
        throw Failure(Exit::failed, "file_changed", path_ + " changed its size while being sent");
}

} // namespace p2prdma::tool
