// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/output_file.hpp"

#include "tools/p2prdma/failure.hpp"
#include "tools/p2prdma/patience.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace p2prdma::tool {
namespace {

mode_t umask_now()
{
    const mode_t mask = ::umask(077);
    ::umask(mask);
    return mask;
}

} // namespace

OutputFile::OutputFile(const std::string& path) : path_(path)
{
    struct stat status = {};
    if (path.empty())
        return;
    const bool exists = path != "-" && ::stat(path.c_str(), &status) == 0;
    if (exists && S_ISDIR(status.st_mode))
        throw Failure(Exit::failed, "not_a_file", path + " is a directory");
    may_block_ = path == "-" || (exists && !S_ISREG(status.st_mode));
    if (path == "-")
        fd_ = STDOUT_FILENO;
    else if (may_block_) // non-blocking: a FIFO that nobody reads is an error
        owned_.reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    else
        create_temporary();
    if (fd_ < 0)
        fd_ = owned_.get();
    if (fd_ < 0)
        throw system_failure(errno, "cannot write " + path);
}

void OutputFile::create_temporary()
{
    const std::filesystem::path path(path_);
    std::string name = path.parent_path() / ("." + path.filename().native() + ".XXXXXX");
    owned_.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!owned_)
        return;
    temporary_ = name;
    ::fchmod(owned_.get(), 0666 & ~umask_now());
}

OutputFile::~OutputFile()
{
    if (!mapping_.empty())
        ::munmap(mapping_.data(), mapping_.size());
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

std::size_t OutputFile::write_some(std::span<const std::byte> data) const
{
    // So much fits into a pipe that poll() calls writable; more could block for ever.
    const auto length = may_block_ ? std::min<std::size_t>(data.size(), PIPE_BUF) : data.size();
    const auto written = ::write(fd_, data.data(), length);
    if (written >= 0)
        return static_cast<std::size_t>(written);
    if (errno == EINTR || errno == EAGAIN)
        return 0;
    throw system_failure(errno, "cannot write " + path_);
}

void OutputFile::write(std::span<const std::byte> data, Patience& patience)
{
    while (fd_ >= 0 && mapping_.empty() && !data.empty()) {
        pollfd writable[] = {{fd_, POLLOUT, 0}};
        if (may_block_)
            patience.wait(writable, "writing " + path_);
        data = data.subspan(write_some(data));
        patience.progress();
    }
}

std::span<std::byte> OutputFile::map(std::uint64_t length)
{
    // Room on the disk is had now: later its lack would be a page that cannot be brought.
    const int error = ::posix_fallocate(fd_, 0, static_cast<off_t>(length));
    void* start =
        error ? MAP_FAILED : ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (start == MAP_FAILED)
        throw system_failure(error ? error : errno, "cannot write " + path_);
    mapping_ = {static_cast<std::byte*>(start), length};
    return mapping_;
}

void OutputFile::commit()
{
    if (temporary_.empty())
        return;
    // A file system may only now find that it has no room, or that the server has gone.
    if (::close(owned_.release()) < 0)
        throw system_failure(errno, "cannot write " + path_);
    if (::rename(temporary_.c_str(), path_.c_str()) < 0)
        throw system_failure(errno, "cannot write " + path_);
    temporary_.clear();
}

} // namespace p2prdma::tool
