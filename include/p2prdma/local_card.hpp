// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include "p2prdma/api.hpp"
#include "p2prdma/grant_mapping.hpp"
#include "p2prdma/pci_address.hpp"
#include "p2prdma/unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace p2prdma {

/// A card whose own machine this is, as found in sysfs.
struct LocalCardEntry {
    unsigned number = 0; ///< N of /dev/p2prdma/localN
    PciAddress pool;     ///< the function with its memory
};

/// What a card's own machine knows of it at the time of the question.
struct LocalCardInfo {
    /// Whether the host serves this card.
    enum class State {
        alone,   ///< no daemon of the host's has opened the control area
        served,  ///< calls are answered
        foreign, ///< the daemon speaks another version, or broke the protocol
    };
    State state = State::alone;
    std::uint32_t epoch = 0;     ///< of the daemon; 0: there is none
    std::uint32_t client = 0;    ///< this open card's number; 0 until its first call
    std::uint64_t serial = 0;    ///< the host sees the same
    std::uint64_t pool_size = 0; ///< bytes of memory that card and host share
    std::uint32_t windows = 0;   ///< how many there are for all clients
    std::uint32_t doorbells = 0; ///< how many pages there are for all clients
    PciAddress pool;             ///< the function with the memory
    PciAddress aperture;         ///< the function with windows and doorbells
    std::uint32_t abi_version = 0;
};

/// A card, opened in its own machine: the owner of a descriptor of /dev/p2prdma/localN, and with it
/// a client of the host's daemon. What the host grants to it is taken back once the LocalCard and
/// all its mappings are gone. Move-only.
///
/// Thread-safety: all const methods may be called by several threads at once; two calls at a time.
class P2PRDMA_API LocalCard final {
public:
    /// What the host's daemon answered.
    struct Reply {
        /// Bytes of the answer; larger than the span for it if that was too short.
        std::size_t length = 0;
        /// 0, or the daemon's refusal: an errno, positive.
        int status = 0;
    };

    /// The cards of this machine by number; none where there is no card's machine. `sysfs` is
    /// where sysfs is mounted. \throws Error module_not_loaded
    [[nodiscard]] static std::vector<LocalCardEntry>
    enumerate(const std::filesystem::path& sysfs = "/sys");

    /// Opens a card by its number.
    /// \throws Error module_not_loaded, no_such_card, card_gone, not_permitted, version_mismatch
    [[nodiscard]] static LocalCard open(unsigned number);
    /// Opens a card by a text: "0", "local0", "/dev/p2prdma/local0", or the PCI address of its
    /// pool. \throws Error as open(unsigned), not_a_card, bad_argument
    [[nodiscard]] static LocalCard open(std::string_view name);

    /// poll() says POLLHUP and POLLERR as alive() and lost_window() do.
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] unsigned number() const noexcept { return number_; }
    /// "local0"
    [[nodiscard]] std::string name() const { return "local" + std::to_string(number_); }

    /// \throws Error card_gone
    [[nodiscard]] LocalCardInfo info() const;

    /// Asks the host's daemon: `op` and the bodies are those of linux/p2prdma_control.h. Waits for
    /// the answer for at most `timeout`, 1 ms to 60 s; after a host_timeout the card can only be
    /// closed, as nobody knows what the call has made.
    /// \throws Error host_not_serving; host_gone: open the card again; host_timeout;
    ///         host_mismatch; host_busy: too many calls or clients; card_gone; bad_argument
    [[nodiscard]] Reply call(std::uint32_t op, std::span<const std::byte> request,
                             std::span<std::byte> reply, std::chrono::milliseconds timeout) const;

    /// Maps the first `length` bytes (> 0) of a grant.
    /// \throws Error bad_argument: the client has no such grant, or it is shorter; not_permitted:
    ///         it is for reading only; host_gone, host_timeout, host_mismatch, card_gone
    [[nodiscard]] GrantMapping map(std::uint32_t grant, std::size_t length,
                                   bool writable = true) const;

    /// Ties a granted doorbell page to an eventfd: signalled once now, and whenever the page was
    /// written; writes may coalesce. The eventfd may be closed after. Undone when the grant or the
    /// card goes. \throws Error bad_argument: no such grant, or it is no doorbell page, or it is
    /// bound; host_gone, host_timeout, card_gone
    void bind_event(std::uint32_t grant, int eventfd) const;
    /// \throws Error bad_argument if it is not bound; else as bind_event()
    void unbind_event(std::uint32_t grant) const;

    /// False once the card can only be closed: host, daemon or functions are gone, or a call
    /// timed out.
    [[nodiscard]] bool alive() const noexcept;
    /// True once the host has taken back a window that was mapped.
    [[nodiscard]] bool lost_window() const noexcept;

private:
    LocalCard(UniqueFd fd, unsigned number) noexcept : fd_(std::move(fd)), number_(number) {}
    [[nodiscard]] static LocalCard open_path(const std::filesystem::path& path, unsigned number);
    void set_event(std::uint32_t grant, int eventfd) const;

    UniqueFd fd_;
    unsigned number_ = 0;
};

} // namespace p2prdma
