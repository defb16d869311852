// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/p2prdma/output_file.hpp"

#include "tools/p2prdma/failure.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
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
    const bool exists = !path.empty() && ::stat(path.c_str(), &status) == 0;
    if (path.empty())
        return;
    if (path == "-") {
        fd_ = STDOUT_FILENO;
        return;
    }
    if (exists && S_ISDIR(status.st_mode))
        throw Failure(Exit::failed, "not_a_file", path + " is a directory");
    if (exists && !S_ISREG(status.st_mode))
        owned_.reset(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    else
        create_temporary();
    if (!owned_)
        throw system_failure(errno, "cannot write " + path);
    fd_ = owned_.get();
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
    if (!temporary_.empty())
        ::unlink(temporary_.c_str());
}

void OutputFile::write(std::span<const std::byte> data)
{
    while (fd_ >= 0 && !data.empty()) {
        const auto written = ::write(fd_, data.data(), data.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            throw system_failure(errno, "cannot write " + path_);
        data = data.subspan(static_cast<std::size_t>(written));
    }
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
