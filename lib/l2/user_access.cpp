// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/user_access.hpp"

#include "p2prdma/error.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>

#include <sys/uio.h>
#include <unistd.h>

namespace p2prdma::l2::user_access {
namespace {

/// Of the thread's copy under way; its handler reads it.
struct Guard {
    sigjmp_buf* landing; ///< null: no copy is under way
    std::uintptr_t start;
    std::size_t length;
    unsigned unchecked; ///< copies until it is looked again whether the handler is in use
    bool usable;
    bool passing; ///< a signal to another handler
};

// A handler may run on a thread that was never here, in the middle of an allocation: the storage
// must be there already.
thread_local Guard guard __attribute__((tls_model("initial-exec"))) = {};

constexpr unsigned check_interval = 256;

/// The handlers of a signal that were found in place of this one. Those that were found stay where
/// they are, as a signal may be on its way to one.
struct Chain {
    const int signal;
    std::array<struct sigaction, 8> found = {};
    std::size_t count = 0;
    std::atomic<const struct sigaction*> latest = nullptr;
};
Chain segment_chain = {SIGSEGV};
Chain bus_chain = {SIGBUS};

/// Whether what happened is an access of the copy's, and not one of a handler's that interrupted
/// it.
bool is_ours(const siginfo_t& info) noexcept
{
    if (!guard.landing || info.si_code <= 0)
        return false;
    // The processor does not tell the address of one that can be none.
    if (info.si_code == SI_KERNEL)
        return true;
    return reinterpret_cast<std::uintptr_t>(info.si_addr) - guard.start < guard.length;
}

[[noreturn]] void leap(int signal) noexcept
{
    sigjmp_buf* const landing = guard.landing;
    guard.landing = nullptr;
    // Whoever called this handler may have blocked it meanwhile.
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
    siglongjmp(*landing, 1); // NOLINT(cert-err52-cpp): nothing on the way has a destructor
}

void call(const struct sigaction& next, int signal, siginfo_t* info, void* context)
{
    if ((next.sa_flags & SA_SIGINFO) != 0) {
        next.sa_sigaction(signal, info, context);
    } else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN) {
        next.sa_handler(signal);
    } else if (info->si_code > 0) { // the access is made again, and ends the process
        ::sigaction(signal, &next, nullptr);
    } else if (next.sa_handler == SIG_DFL) {
        ::sigaction(signal, &next, nullptr);
        ::raise(signal);
    }
}

/// To the handler that was there before. If that leads back here, as it was put on top of this one
/// before this one on top of it, to the one that was there at first.
void pass_on(int signal, siginfo_t* info, void* context)
{
    const Chain& chain = signal == SIGSEGV ? segment_chain : bus_chain;
    const bool again = guard.passing;
    guard.passing = true;
    call(again ? chain.found[0] : *chain.latest, signal, info, context);
    guard.passing = again;
}

void on_fault(int signal, siginfo_t* info, void* context)
{
    if (is_ours(*info))
        leap(signal);
    const int saved = errno;
    pass_on(signal, info, context);
    errno = saved;
}

bool is_this_handler(const struct sigaction& action) noexcept
{
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_fault;
}

bool same(const struct sigaction& a, const struct sigaction& b) noexcept
{
    const bool with_info = (a.sa_flags & SA_SIGINFO) != 0;
    return a.sa_flags == b.sa_flags &&
           (with_info ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler);
}

/// Where `action` is kept; null: too many were found.
const struct sigaction* remember(Chain& chain, const struct sigaction& action) noexcept
{
    for (std::size_t i = 0; i < chain.count; ++i)
        if (same(chain.found[i], action))
            return &chain.found[i];
    if (chain.count == chain.found.size())
        return nullptr;
    chain.found[chain.count] = action;
    return &chain.found[chain.count++];
}

void install(Chain& chain)
{
    struct sigaction now = {};
    struct sigaction ours = {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    if (::sigaction(chain.signal, nullptr, &now) != 0)
        throw Error(std::error_code(errno, std::system_category()),
                    "cannot handle SIGSEGV and SIGBUS of memory access");
    const struct sigaction* const kept = is_this_handler(now) ? nullptr : remember(chain, now);
    if (!kept)
        return;
    chain.latest = kept;
    ::sigaction(chain.signal, &ours, nullptr);
}

bool reaches_handler(int signal, const sigset_t& blocked) noexcept
{
    struct sigaction now = {};
    return ::sigaction(signal, nullptr, &now) == 0 && is_this_handler(now) &&
           sigismember(&blocked, signal) == 0;
}

void check() noexcept
{
    sigset_t blocked;
    sigemptyset(&blocked);
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    guard.usable = reaches_handler(SIGSEGV, blocked) && reaches_handler(SIGBUS, blocked);
    guard.unchecked = check_interval;
}

bool usable() noexcept
{
    if (guard.unchecked-- == 0)
        check();
    return guard.usable;
}

/// Carries `access` out; false if memory from `user` on could not be accessed.
template <typename Access>
[[gnu::noinline]] bool guarded(const void* user, std::size_t length, Access access) noexcept
{
    sigjmp_buf landing;
    if (sigsetjmp(landing, 0) != 0) // NOLINT(cert-err52-cpp): a signal handler cannot throw
        return false;
    guard.start = reinterpret_cast<std::uintptr_t>(user);
    guard.length = length;
    guard.landing = &landing;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    access();
    std::atomic_signal_fence(std::memory_order_seq_cst);
    guard.landing = nullptr;
    return true;
}

using Transfer = decltype(&::process_vm_readv);

/// By the kernel: as far as it goes.
std::size_t transfer(Transfer call, void* own, const void* user, std::size_t length) noexcept
{
    const iovec local = {own, length};
    const iovec remote = {const_cast<void*>(user), length};
    const ssize_t done = call(::getpid(), &local, 1, &remote, 1, 0);
    return done < 0 ? 0 : static_cast<std::size_t>(done);
}

} // namespace

void prepare()
{
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    install(segment_chain);
    install(bus_chain);
}

// What a leap left unfinished is done again by the kernel, which knows where it ends.

std::size_t copy_to(void* user, std::span<const std::byte> from) noexcept
{
    if (usable() &&
        guarded(user, from.size(), [=] { std::memcpy(user, from.data(), from.size()); }))
        return from.size();
    return transfer(::process_vm_writev, const_cast<std::byte*>(from.data()), user, from.size());
}

std::size_t copy_from(std::span<std::byte> to, const void* user) noexcept
{
    if (usable() && guarded(user, to.size(), [=] { std::memcpy(to.data(), user, to.size()); }))
        return to.size();
    return transfer(::process_vm_readv, to.data(), user, to.size());
}

bool touch(void* user, bool for_writing) noexcept
{
    auto* const byte = static_cast<unsigned char*>(user);
    const auto access = [=] {
        if (for_writing) // changes nothing, even if another thread writes it now
            __atomic_fetch_or(byte, static_cast<unsigned char>(0), __ATOMIC_RELAXED);
        else
            static_cast<void>(__atomic_load_n(byte, __ATOMIC_RELAXED));
    };
    if (is_guarded())
        return guarded(user, 1, access);
    unsigned char ignored = 0;
    return transfer(::process_vm_readv, &ignored, user, 1) == 1;
}

bool is_guarded() noexcept
{
    check();
    return guard.usable;
}

} // namespace p2prdma::l2::user_access
