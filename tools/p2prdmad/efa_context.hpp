// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/pci_address.hpp"
#include "tools/p2prdmad/refusal.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <infiniband/efadv.h>
#include <infiniband/verbs.h>

namespace p2prdma::daemon {

/// Destroys any object of libibverbs.
struct DestroyVerbs {
    void operator()(ibv_context* context) const noexcept { ibv_close_device(context); }
    void operator()(ibv_pd* pd) const noexcept { ibv_dealloc_pd(pd); }
    void operator()(ibv_cq* cq) const noexcept { ibv_destroy_cq(cq); }
    void operator()(ibv_qp* qp) const noexcept { ibv_destroy_qp(qp); }
    void operator()(ibv_mr* region) const noexcept { ibv_dereg_mr(region); }
    void operator()(ibv_ah* handle) const noexcept { ibv_destroy_ah(handle); }
    void operator()(ibv_comp_cntr* counter) const noexcept { ibv_destroy_comp_cntr(counter); }
};

template <typename T>
using Verbs = std::unique_ptr<T, DestroyVerbs>;

/// Takes what libibverbs made. \throws Refusal with its errno, naming `what`
template <typename T>
Verbs<T> made(T* object, const char* what)
{
    const int error = errno;
    if (!object)
        throw Refusal(error ? error : EIO, std::string("the adapter refuses ") + what);
    return Verbs<T>(object);
}

/// The same for a call that returns an errno.
inline void succeed(int error, const char* what)
{
    if (error)
        throw Refusal(error > 0 ? error : EIO, std::string("the adapter refuses ") + what);
}

/// Something that exists in an adapter, and must go from it when the adapter's driver is unbound:
/// the driver waits for that, whoever still knows the object.
class Resident {
public:
    /// Which go first.
    enum class Rank { queue_pair, counter, other };

    virtual void dispose() noexcept = 0;

protected:
    ~Resident() = default;
};

/// An adapter as opened for one client: a uverbs context, which has doorbell pages of its own, and
/// a protection domain.
class EfaContext {
public:
    /// \throws Refusal ENODEV
    explicit EfaContext(ibv_device& device);
    EfaContext(const EfaContext&) = delete;
    EfaContext& operator=(const EfaContext&) = delete;

    ibv_context* get() const noexcept { return context_.get(); }
    ibv_pd* pd() const noexcept { return pd_.get(); }
    /// \throws Refusal ENODEV once the adapter has gone
    void require_alive() const;
    bool alive() const noexcept { return alive_; }

    void enter(Resident& resident, Resident::Rank rank) { residents_.emplace(rank, &resident); }
    void leave(Resident& resident, Resident::Rank rank) noexcept
    {
        residents_.erase({rank, &resident});
    }
    /// The adapter goes: destroys all that is in it, then lets go of it.
    void abandon() noexcept;
    /// Takes what the adapter tells; whether it is going. Does not wait.
    bool take_events() noexcept;

private:
    Verbs<ibv_context> context_;
    Verbs<ibv_pd> pd_;
    std::set<std::pair<Resident::Rank, Resident*>> residents_;
    bool alive_ = true;
};

/// Membership of a resident in its context, which it keeps open. Goes after what it protects.
class Residence {
public:
    Residence(std::shared_ptr<EfaContext> context, Resident& resident, Resident::Rank rank)
        : context_(std::move(context)), resident_(resident), rank_(rank)
    {
        context_->enter(resident_, rank_);
    }
    Residence(const Residence&) = delete;
    Residence& operator=(const Residence&) = delete;
    ~Residence() { context_->leave(resident_, rank_); }

    EfaContext& operator*() const noexcept { return *context_; }
    EfaContext* operator->() const noexcept { return context_.get(); }

private:
    std::shared_ptr<EfaContext> context_;
    Resident& resident_;
    Resident::Rank rank_;
};

} // namespace p2prdma::daemon
