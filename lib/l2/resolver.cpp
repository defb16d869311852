// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/resolver.hpp"

#include "lib/l2/bring_pages.hpp"
#include "lib/l2/copy_watch.hpp"
#include "lib/l2/fault_estimate.hpp"
#include "lib/l2/user_access.hpp"
#include "p2prdma/error.hpp"
#include "p2prdma/unique_fd.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace p2prdma::l2 {
namespace {

using Clock = std::chrono::steady_clock;

Time now() noexcept
{
    return Clock::now().time_since_epoch();
}

/// No signal of the application's is handled on a thread that it does not know, but those that
/// memory access needs.
class SignalsBlocked {
public:
    SignalsBlocked()
    {
        sigset_t all;
        sigfillset(&all);
        sigdelset(&all, SIGSEGV);
        sigdelset(&all, SIGBUS);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_ = {};
};

} // namespace

/// What the threads and the resolver have together. All but `ready` and `event` is under the mutex.
struct Resolver::Shared {
    using Id = std::uint64_t;
    struct Job {
        std::uint64_t token = 0;
        bool told = false; ///< to take(): not for a prefetch
        const void* address = nullptr;
        std::size_t length = 0;
        Pager::Need need = Pager::Need::reading;
        std::size_t ahead = 0; ///< bytes behind these
        Time begun{0};
    };
    struct Worker {
        std::thread thread;
        copy_watch::Slot* slot = nullptr;
        bool busy = false;
        bool late = false; ///< nobody waited any more for what it brings when the guard looked
        Id job = 0;        ///< if busy
    };

    explicit Shared(const Config& wanted)
        : config(wanted), event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
    {
        if (!event)
            throw Error(std::error_code(errno, std::system_category()),
                        "no eventfd for bringing pages");
    }

    void submit(const Job& job);
    void work(Worker& self);
    void finish(Id id, int error) noexcept;
    void done_changed() noexcept;
    static void bring_ahead(const Job& job) noexcept;
    void expire(Time at) noexcept;
    [[nodiscard]] bool lacks_thread(Time at) const noexcept;
    [[nodiscard]] bool interrupt_late() noexcept;
    void interrupt_all(std::unique_lock<std::mutex>& lock) noexcept;
    [[nodiscard]] Time guard_until(Time at, bool any_late) const noexcept;

    const Config config;
    const UniqueFd event;
    std::atomic<std::size_t> ready = 0; ///< done.size()

    std::mutex mutex;
    std::condition_variable to_work, to_guard;
    bool ending = false;
    Id next_id = 0;
    std::map<Id, Job> jobs; ///< waiting or being brought; the first is the oldest
    std::deque<Id> waiting; ///< some may have left jobs meanwhile; not many more than are there
    std::size_t prefetches = 0;
    std::unordered_map<std::uint64_t, Id> tokens;
    std::deque<Pager::Resolved> done;
    std::list<Worker> workers; ///< where each stays while others come
    unsigned idle = 0;
    Time last_taken{0}; ///< when a worker took one, or the first began to wait
    Time guard_sleeps_until{0};
    FaultEstimate estimate;
    Counters counters;

    static void add_worker(const std::shared_ptr<Shared>& shared);
    static void try_to_add_worker(const std::shared_ptr<Shared>& shared, Time at) noexcept;
    static void guard(const std::shared_ptr<Shared>& shared);
    std::thread guardian;
    static void start(const std::shared_ptr<Shared>& shared);
    static void stop(Shared& shared) noexcept;
};

/// Under the mutex.
void Resolver::Shared::add_worker(const std::shared_ptr<Shared>& shared)
{
    const SignalsBlocked blocked;
    Worker& worker = shared->workers.emplace_back();
    try {
        worker.thread = std::thread([shared, &worker] { shared->work(worker); });
    } catch (const std::system_error&) {
        shared->workers.pop_back();
        throw;
    }
    ::pthread_setname_np(worker.thread.native_handle(), "p2prdma-pages");
}

void Resolver::Shared::try_to_add_worker(const std::shared_ptr<Shared>& shared, Time at) noexcept
{
    shared->last_taken = at; // the next is not needed before that one had its time
    try {
        add_worker(shared);
    } catch (const std::exception&) {
        // It is tried again.
    }
}

void Resolver::Shared::start(const std::shared_ptr<Shared>& shared)
{
    const std::lock_guard lock(shared->mutex);
    for (unsigned i = 0; i < std::max(1U, shared->config.threads); ++i)
        add_worker(shared);
    const SignalsBlocked blocked;
    shared->guardian = std::thread([shared] { guard(shared); });
    ::pthread_setname_np(shared->guardian.native_handle(), "p2prdma-limit");
}

/// Gets the threads out of memory that may go as soon as this returns.
void Resolver::Shared::interrupt_all(std::unique_lock<std::mutex>& lock) noexcept
{
    constexpr unsigned looks = 50;
    const auto is_busy = [](const Worker& worker) { return worker.busy; };
    for (unsigned i = 0; i < looks && std::ranges::any_of(workers, is_busy); ++i) {
        for (const Worker& worker : workers)
            if (worker.busy)
                copy_watch::interrupt(*worker.slot); // again, as it may not have been there yet
        to_work.wait_for(lock, std::chrono::milliseconds(1));
    }
}

/// Waits for all but those that wait for pages in the kernel, which nobody gets out of there.
void Resolver::Shared::stop(Shared& shared) noexcept
{
    std::unique_lock lock(shared.mutex);
    shared.ending = true;
    shared.to_work.notify_all();
    shared.to_guard.notify_all();
    lock.unlock();
    if (shared.guardian.joinable())
        shared.guardian.join(); // from now on there are no more workers
    lock.lock();
    shared.interrupt_all(lock);
    for (Worker& worker : shared.workers)
        if (worker.busy)
            worker.thread.detach();
    lock.unlock();
    for (Worker& worker : shared.workers)
        if (worker.thread.joinable())
            worker.thread.join();
}

void Resolver::Shared::work(Worker& self)
{
    std::unique_lock lock(mutex);
    (void)user_access::is_guarded(); // so that the slot is in use
    self.slot = &user_access::own_slot();
    while (!ending) {
        if (waiting.empty()) {
            ++idle;
            to_work.wait(lock, [&] { return ending || !waiting.empty(); });
            --idle;
            continue;
        }
        const Id id = waiting.front();
        waiting.pop_front();
        last_taken = now();
        const auto found = jobs.find(id);
        if (found == jobs.end())
            continue;
        const Job job = found->second;
        self.busy = true;
        self.late = false;
        self.job = id;
        int error = EINTR;
        // An interrupt that comes late was meant for the job before.
        while (error == EINTR && jobs.contains(id) && !ending) {
            lock.unlock();
            error = bring_pages(job.address, job.length, job.need);
            lock.lock();
        }
        finish(id, error);
        if (error == 0 && job.ahead != 0 && !ending) {
            lock.unlock();
            bring_ahead(job);
            lock.lock();
        }
        self.busy = false;
    }
}

/// Under the mutex. Nothing if it has timed out or was forgotten.
void Resolver::Shared::finish(Id id, int error) noexcept
{
    const auto found = jobs.find(id);
    if (found == jobs.end())
        return;
    const Job job = found->second;
    jobs.erase(found);
    estimate.observed(job.address, now() - job.begun);
    ++(error == 0 ? counters.resolved : error == ETIMEDOUT ? counters.timed_out : counters.failed);
    if (!job.told) {
        --prefetches;
        return;
    }
    tokens.erase(job.token);
    done.push_back({job.token, error});
    done_changed();
}

/// As long as it is quick: memory that has to be asked for elsewhere is not brought on suspicion.
void Resolver::Shared::bring_ahead(const Job& job) noexcept
{
    constexpr std::size_t piece = 65536;
    constexpr Time quick = std::chrono::milliseconds(1);
    const auto* const start = static_cast<const std::byte*>(job.address) + job.length;
    Time begun = job.begun;
    for (std::size_t offset = 0; offset < job.ahead && now() - begun < quick; offset += piece) {
        begun = now();
        if (bring_pages(start + offset, std::min(piece, job.ahead - offset), job.need) != 0)
            return;
    }
}

/// Under the mutex. The event is readable while there are some.
void Resolver::Shared::done_changed() noexcept
{
    const std::size_t before = ready.exchange(done.size());
    eventfd_t ignored = 0;
    if (before == 0 && !done.empty())
        ::eventfd_write(event.get(), 1);
    else if (before != 0 && done.empty())
        ::eventfd_read(event.get(), &ignored);
}

void Resolver::Shared::expire(Time at) noexcept
{
    while (!jobs.empty() && jobs.begin()->second.begun + config.fault_limit <= at)
        finish(jobs.begin()->first, ETIMEDOUT);
}

/// Gets threads out of what nobody waits for any more, at the second look: who brings what is
/// needed next is mostly done by then. Whether there are any.
bool Resolver::Shared::interrupt_late() noexcept
{
    bool any = false;
    for (Worker& worker : workers) {
        if (!worker.busy || jobs.contains(worker.job))
            continue;
        if (std::exchange(worker.late, true))
            copy_watch::interrupt(*worker.slot);
        any = true;
    }
    return any;
}

bool Resolver::Shared::lacks_thread(Time at) const noexcept
{
    return !waiting.empty() && idle == 0 && at - last_taken >= config.stuck_after &&
           workers.size() < config.max_threads;
}

/// The guard looks some times within the limit, rather than being woken for each request.
Time Resolver::Shared::guard_until(Time at, bool any_late) const noexcept
{
    Time until = any_late ? at + config.stuck_after : Time::max();
    if (jobs.empty())
        return until;
    until = std::min(
        {until, at + config.fault_limit / 4, jobs.begin()->second.begun + config.fault_limit});
    if (!waiting.empty() && workers.size() < config.max_threads)
        until = std::min(until, std::max(last_taken, at) + config.stuck_after);
    return until;
}

/// The thread that never touches memory which may be absent: ends what takes too long, gets threads
/// out of it, and starts others while all are stuck.
void Resolver::Shared::guard(const std::shared_ptr<Shared>& shared)
{
    std::unique_lock lock(shared->mutex);
    while (!shared->ending) {
        const Time at = now();
        shared->expire(at);
        if (shared->lacks_thread(at))
            try_to_add_worker(shared, at);
        shared->guard_sleeps_until = shared->guard_until(at, shared->interrupt_late());
        if (shared->guard_sleeps_until == Time::max())
            shared->to_guard.wait(lock);
        else
            shared->to_guard.wait_until(lock, Clock::time_point(shared->guard_sleeps_until));
    }
}

/// Under the mutex.
void Resolver::Shared::submit(const Job& job)
{
    constexpr std::size_t few = 64;
    const Id id = next_id++;
    jobs.emplace(id, job);
    if (job.told)
        tokens[job.token] = id;
    if (waiting.empty())
        last_taken = job.begun;
    if (waiting.size() > 2 * jobs.size() + few) // those that left can wait for long
        std::erase_if(waiting, [&](Id one) { return !jobs.contains(one); });
    waiting.push_back(id);
    if (idle != 0)
        to_work.notify_one();
    if (guard_sleeps_until == Time::max() ||
        (idle == 0 && guard_sleeps_until > job.begun + config.stuck_after))
        to_guard.notify_one();
}

Resolver::Resolver(const Config& config) : shared_(std::make_shared<Shared>(config))
{
    user_access::prepare();
    try {
        Shared::start(shared_);
    } catch (...) {
        Shared::stop(*shared_);
        throw;
    }
}

Resolver::~Resolver()
{
    Shared::stop(*shared_);
}

std::uint32_t Resolver::resolve(std::uint64_t token, const void* address, std::size_t length,
                                Pager::Need need, std::size_t ahead) noexcept
{
    const std::lock_guard lock(shared_->mutex);
    shared_->submit({token, true, address, length, need, ahead, now()});
    return shared_->estimate.microseconds(address);
}

void Resolver::prefetch(const void* address, std::size_t length, Pager::Need need) noexcept
{
    const std::lock_guard lock(shared_->mutex);
    if (shared_->prefetches >= shared_->config.max_prefetches) {
        ++shared_->counters.prefetches_dropped;
        return;
    }
    ++shared_->prefetches;
    shared_->submit({0, false, address, length, need, 0, now()});
}

void Resolver::forget(std::uint64_t token) noexcept
{
    const std::lock_guard lock(shared_->mutex);
    if (const auto found = shared_->tokens.find(token); found != shared_->tokens.end()) {
        shared_->jobs.erase(found->second);
        shared_->tokens.erase(found);
        return;
    }
    std::erase_if(shared_->done, [=](const Pager::Resolved& one) { return one.token == token; });
    shared_->done_changed();
}

std::size_t Resolver::take(std::span<Pager::Resolved> out) noexcept
{
    if (shared_->ready.load(std::memory_order_acquire) == 0)
        return 0;
    const std::lock_guard lock(shared_->mutex);
    auto& done = shared_->done;
    const std::size_t count = std::min(out.size(), done.size());
    std::copy_n(done.begin(), count, out.begin());
    done.erase(done.begin(), done.begin() + static_cast<std::ptrdiff_t>(count));
    shared_->done_changed();
    return count;
}

int Resolver::fd() const noexcept
{
    return shared_->event.get();
}

Resolver::Counters Resolver::counters() const noexcept
{
    const std::lock_guard lock(shared_->mutex);
    Counters result = shared_->counters;
    result.threads = static_cast<unsigned>(shared_->workers.size());
    result.waiting = shared_->waiting.size();
    return result;
}

} // namespace p2prdma::l2
