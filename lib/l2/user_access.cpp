// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/user_access.hpp"

#include "lib/l2/copy_watch.hpp"
#include "lib/l2/page_map.hpp"
#include "p2prdma/error.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>
#include <mutex>

#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

namespace p2prdma::l2::user_access {
namespace {

/// A signal that was passed on to another handler. Whether that still runs is not known: it may
/// have left by a leap of its own.
struct Passing {
    int signal;
    const void* context;
    std::uintptr_t frame; ///< on the stack
};

/// Of the thread's copy under way; its handler reads it.
struct Guard {
    sigjmp_buf* landing; ///< null: no copy is under way
    std::uintptr_t start;
    std::size_t length;
    unsigned unchecked; ///< copies until it is looked again whether the handler is in use
    bool usable;
    bool watched;    ///< by copy_watch
    Passing passing; ///< the latest
    copy_watch::Slot slot;
};

// A handler may run on a thread that was never here, in the middle of an allocation: the storage
// must be there already.
constinit thread_local Guard guard __attribute__((tls_model("initial-exec"))) = {};

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
Chain watch_chain = {SIGURG};

enum class Outcome : int { done, inaccessible, interrupted };

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

[[noreturn]] void leap(const void* context, Outcome outcome) noexcept
{
    sigjmp_buf* const landing = guard.landing;
    guard.landing = nullptr;
    // Whoever called this handler may have blocked signals meanwhile.
    ::pthread_sigmask(SIG_SETMASK, &static_cast<const ucontext_t*>(context)->uc_sigmask, nullptr);
    // NOLINTNEXTLINE(cert-err52-cpp): nothing on the way has a destructor
    siglongjmp(*landing, static_cast<int>(outcome));
}

void call(const struct sigaction& next, int signal, siginfo_t* info, void* context)
{
    if ((next.sa_flags & SA_SIGINFO) != 0) {
        next.sa_sigaction(signal, info, context);
    } else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN) {
        next.sa_handler(signal);
    } else if (signal == SIGURG) {
        return;                     // ignored by default
    } else if (info->si_code > 0) { // the access is made again, and ends the process
        ::sigaction(signal, &next, nullptr);
    } else if (next.sa_handler == SIG_DFL) {
        ::sigaction(signal, &next, nullptr);
        ::raise(signal);
    }
}

Chain& chain_of(int signal) noexcept
{
    return signal == SIGSEGV ? segment_chain : signal == SIGBUS ? bus_chain : watch_chain;
}

/// Whether the handler that this signal was passed on to has called this one in turn: the same
/// signal, deeper on the stack. One that comes anew at the same place does so at the same depth.
bool leads_back(const Passing& now) noexcept
{
    const Passing& before = guard.passing;
    return now.signal == before.signal && now.context == before.context && now.frame < before.frame;
}

/// To the handler that was there before. If that leads back here, as it was put on top of this one
/// before this one on top of it, to the one that was there at first.
void pass_on(int signal, siginfo_t* info, void* context)
{
    const Chain& chain = chain_of(signal);
    const Passing now = {signal, context,
                         reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))};
    const Passing before = guard.passing;
    const bool again = leads_back(now);
    guard.passing = now;
    call(again ? chain.found[0] : *chain.latest, signal, info, context);
    guard.passing = before;
}

/// Of all three signals. Those that copy_watch::interrupt() sends say whose they are.
void on_signal(int signal, siginfo_t* info, void* context)
{
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &guard.slot) {
        if (guard.landing)
            leap(context, Outcome::interrupted);
        return;
    }
    if (signal != SIGURG && is_ours(*info))
        leap(context, Outcome::inaccessible);
    const int saved = errno;
    pass_on(signal, info, context);
    errno = saved;
}

bool is_this_handler(const struct sigaction& action) noexcept
{
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
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
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
    sigemptyset(&ours.sa_mask);
    if (::sigaction(chain.signal, nullptr, &now) != 0)
        throw Error(std::error_code(errno, std::system_category()),
                    "cannot handle the signals of memory access");
    const struct sigaction* const kept = is_this_handler(now) ? nullptr : remember(chain, now);
    if (!kept)
        return;
    chain.latest = kept;
    ::sigaction(chain.signal, &ours, nullptr);
}

bool reaches_handler(int signal, const sigset_t& blocked) noexcept
{
    return is_handled(signal) && sigismember(&blocked, signal) == 0;
}

/// Takes the thread off the watch when it ends.
struct WatchEnd {
    WatchEnd() = default;
    WatchEnd(const WatchEnd&) = delete;
    WatchEnd& operator=(const WatchEnd&) = delete;
    ~WatchEnd() { copy_watch::remove(guard.slot); }
};

void watch_this_thread() noexcept
{
    try {
        copy_watch::add(guard.slot);
        guard.watched = true;
        thread_local const WatchEnd end;
    } catch (const std::exception&) {
        // It is tried again.
    }
}

void check() noexcept
{
    if (!guard.watched)
        watch_this_thread();
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

/// Carries `access` out, as far as memory from `user` on can be accessed.
template <bool watched = true, typename Access>
[[gnu::noinline]] Outcome guarded(const void* user, std::size_t length, Access access) noexcept
{
    sigjmp_buf landing;
    const int leapt = sigsetjmp(landing, 0); // NOLINT(cert-err52-cpp): no handler can throw
    if (leapt == 0) {
        guard.start = reinterpret_cast<std::uintptr_t>(user);
        guard.length = length;
        guard.landing = &landing;
        if (watched)
            copy_watch::begin(guard.slot);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        access();
        std::atomic_signal_fence(std::memory_order_seq_cst);
        guard.landing = nullptr;
    }
    if (watched)
        copy_watch::end(guard.slot);
    return static_cast<Outcome>(leapt);
}

using Transfer = decltype(&::process_vm_readv);

/// Pages, not objects: sanitizers need not know.
__attribute__((no_sanitize("address"))) void
touch_pages(unsigned char* bytes, std::size_t length, std::size_t page, bool for_writing) noexcept
{
    for (std::size_t at = 0; at < length; at += page)
        if (for_writing) // changes nothing, even if another thread writes it now
            __atomic_fetch_or(bytes + at, static_cast<unsigned char>(0), __ATOMIC_RELAXED);
        else
            static_cast<void>(__atomic_load_n(bytes + at, __ATOMIC_RELAXED));
}

/// By the kernel, as far as it goes now: nobody gets a thread out of there that waits for a page,
/// so that what is absent counts as not accessible, and is brought by whoever can wait for it.
std::size_t transfer(Transfer call, void* own, const void* user, std::size_t length) noexcept
{
    const auto present = PageMap().present(user, length, Time());
    const iovec local = {own, present};
    const iovec remote = {const_cast<void*>(user), present};
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
    install(watch_chain);
}

// What is not accessible to the end is done again by the kernel, which knows where that is.

std::size_t copy_to(void* user, std::span<const std::byte> from) noexcept
{
    auto outcome = Outcome::inaccessible;
    if (usable())
        outcome = guarded(user, from.size(), [=] { std::memcpy(user, from.data(), from.size()); });
    if (outcome == Outcome::inaccessible)
        return transfer(::process_vm_writev, const_cast<std::byte*>(from.data()), user,
                        from.size());
    return outcome == Outcome::done ? from.size() : 0;
}

std::size_t copy_from(std::span<std::byte> to, const void* user) noexcept
{
    auto outcome = Outcome::inaccessible;
    if (usable())
        outcome = guarded(user, to.size(), [=] { std::memcpy(to.data(), user, to.size()); });
    if (outcome == Outcome::inaccessible)
        return transfer(::process_vm_readv, to.data(), user, to.size());
    return outcome == Outcome::done ? to.size() : 0;
}

Touched touch(void* user, std::size_t length, bool for_writing) noexcept
{
    if (!is_guarded())
        return Touched::not_guarded;
    auto* const bytes = static_cast<unsigned char*>(user);
    const auto page = static_cast<std::size_t>(::getpagesize());
    const auto outcome =
        guarded<false>(user, length, [=] { touch_pages(bytes, length, page, for_writing); });
    return outcome == Outcome::done          ? Touched::all
           : outcome == Outcome::interrupted ? Touched::interrupted
                                             : Touched::not_accessible;
}

bool is_handled(int signal) noexcept
{
    struct sigaction now = {};
    return ::sigaction(signal, nullptr, &now) == 0 && is_this_handler(now);
}

copy_watch::Slot& own_slot() noexcept
{
    return guard.slot;
}

bool is_guarded() noexcept
{
    check();
    return guard.usable;
}

} // namespace p2prdma::l2::user_access
