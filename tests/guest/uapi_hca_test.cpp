// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// P2PRDMA_HCA_REGS: what a process has mapped of an RDMA adapter goes behind windows of a card, and
// nothing else does. P2PRDMA_EFA_UNBIND, if set, is a command that unbinds the adapter's driver.

#include "tests/guest/efa_rig.hpp"
#include "tests/guest/uapi_card.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <thread>

using namespace uapi;
using efa_rig::Device;
using efa_rig::QueuePair;

namespace {

constexpr efa_rig::Options page_of_requests{.entries = 64};

std::uint64_t number(const volatile void* pointer)
{
    return reinterpret_cast<std::uintptr_t>(pointer);
}

struct Regs {
    explicit Regs(int uverbs, std::uint32_t kind, std::uint64_t address, std::uint64_t length)
    {
        args.size = sizeof(args);
        args.uverbs_fd = uverbs;
        args.kind = kind;
        args.address = address;
        args.length = length;
        const UniqueFd hca(::open("/dev/p2prdma/hca", O_RDWR | O_CLOEXEC));
        REQUIRE(hca);
        error = call(hca, P2PRDMA_HCA_REGS, &args);
        if (error == 0)
            fd = UniqueFd(args.fd);
    }
    p2prdma_hca_regs args{};
    int error;
    UniqueFd fd;
};

struct Window {
    Window(const UniqueFd& card, const UniqueFd& dmabuf, std::uint64_t offset, std::uint64_t length,
           std::uint32_t access = P2PRDMA_ACCESS_WRITE)
    {
        args.size = sizeof(args);
        args.dmabuf_fd = dmabuf.get();
        args.access = access;
        args.offset = offset;
        args.length = length;
        error = call(card, P2PRDMA_WINDOW_OPEN, &args);
        if (error == 0)
            fd = UniqueFd(args.fd);
    }
    [[nodiscard]] bool taken_away(int milliseconds = 0) const
    {
        pollfd item{.fd = fd.get(), .events = 0, .revents = 0};
        return ::poll(&item, 1, milliseconds) == 1 && (item.revents & POLLHUP) != 0;
    }
    p2prdma_window_open args{};
    int error;
    UniqueFd fd;
};

/// An adapter's queue pair, whose send queue fills a page of queue memory.
struct Rig {
    Device device{"efa_0"};
    QueuePair pair{device, page_of_requests};
    UniqueFd card = open_card();

    [[nodiscard]] int uverbs() const { return device.context->cmd_fd; }
    [[nodiscard]] Regs queue() const
    {
        return Regs(uverbs(), P2PRDMA_HCA_QUEUE, number(pair.send.buffer), page);
    }
    [[nodiscard]] Regs doorbell() const
    {
        return Regs(uverbs(), P2PRDMA_HCA_DOORBELL, number(pair.send.doorbell), 4);
    }
    [[nodiscard]] Regs ring() const
    {
        return Regs(uverbs(), P2PRDMA_HCA_RING, number(pair.receive.buffer), page);
    }
};

} // namespace

TEST_CASE("HCA_REGS: queue memory, doorbell and receive ring go behind windows")
{
    const Rig rig;
    const Regs queue = rig.queue(), doorbell = rig.doorbell(), ring = rig.ring();
    REQUIRE(queue.error == 0);
    REQUIRE(doorbell.error == 0);
    REQUIRE(ring.error == 0);
    CHECK(queue.args.cache == P2PRDMA_CACHE_WC);
    CHECK(doorbell.args.cache == P2PRDMA_CACHE_UC);
    CHECK(queue.args.offset == 0);
    CHECK(doorbell.args.offset == number(rig.pair.send.doorbell) % page);
    CHECK(Window(rig.card, queue.fd, 0, page).error == 0);
    CHECK(Window(rig.card, doorbell.fd, doorbell.args.offset, 4).error == 0);
    CHECK(Window(rig.card, ring.fd, 0, page).error == 0);
}

TEST_CASE("HCA_REGS: a window shows no more than was exported")
{
    const Rig rig;
    const Regs doorbell = rig.doorbell();
    REQUIRE(doorbell.error == 0);
    const std::uint64_t at = doorbell.args.offset;
    CHECK(Window(rig.card, doorbell.fd, 0, page).error == EINVAL);
    CHECK(Window(rig.card, doorbell.fd, at, 8).error == EINVAL);
    CHECK(Window(rig.card, doorbell.fd, at + 4, 4).error == EINVAL);
    CHECK(Window(rig.card, doorbell.fd, at + 1, 4).error == EINVAL);
    if (at > 0)
        CHECK(Window(rig.card, doorbell.fd, at - 1, 4).error == EINVAL);
    CHECK(Window(rig.card, doorbell.fd, at + 1, 2).error == 0);
}

TEST_CASE("HCA_REGS: only windows import it, and no process maps it")
{
    const Rig rig;
    for (const Regs& regs : {rig.queue(), rig.ring()}) {
        REQUIRE(regs.error == 0);
        CHECK(Map(regs.fd, page).error() == EINVAL);
        CHECK(ibv_reg_dmabuf_mr(rig.device.pd.get(), 0, page, 0, regs.fd.get(),
                                IBV_ACCESS_LOCAL_WRITE) == nullptr);
        CHECK(errno == EOPNOTSUPP);
    }
}

TEST_CASE("HCA_REGS: alignment and kind")
{
    const Rig rig;
    const std::uint64_t queue = number(rig.pair.send.buffer);
    const std::uint64_t doorbell = number(rig.pair.send.doorbell);
    const std::uint64_t ring = number(rig.pair.receive.buffer);
    const auto error = [&](std::uint32_t kind, std::uint64_t address, std::uint64_t length) {
        return Regs(rig.uverbs(), kind, address, length).error;
    };
    CHECK(error(P2PRDMA_HCA_QUEUE, queue + 64, page) == EINVAL);
    CHECK(error(P2PRDMA_HCA_QUEUE, queue, page - 64) == EINVAL);
    CHECK(error(P2PRDMA_HCA_QUEUE, queue, 0) == EINVAL);
    CHECK(error(P2PRDMA_HCA_QUEUE, queue, std::uint64_t(0) - page) == EINVAL);
    CHECK(error(P2PRDMA_HCA_DOORBELL, doorbell + 1, 4) == EINVAL);
    CHECK(error(P2PRDMA_HCA_DOORBELL, doorbell, 3) == EINVAL);
    CHECK(error(P2PRDMA_HCA_DOORBELL, doorbell, page + 4) == EINVAL);
    CHECK(error(P2PRDMA_HCA_RING, ring + 16, page) == EINVAL);
    CHECK(error(3, queue, page) == EINVAL);
    CHECK(error(P2PRDMA_HCA_QUEUE, queue, 2 * page) == EFAULT);

    CHECK(error(P2PRDMA_HCA_DOORBELL, queue, 4) == EOPNOTSUPP);
    CHECK(error(P2PRDMA_HCA_QUEUE, doorbell & ~(page - 1), page) == EOPNOTSUPP);
    CHECK(error(P2PRDMA_HCA_RING, queue, page) == EOPNOTSUPP);
    CHECK(error(P2PRDMA_HCA_RING, doorbell & ~(page - 1), page) == EOPNOTSUPP);
    CHECK(error(P2PRDMA_HCA_QUEUE, ring, page) == EOPNOTSUPP);
    CHECK(error(P2PRDMA_HCA_DOORBELL, ring, 4) == EOPNOTSUPP);
}

TEST_CASE("HCA_REGS: only a mapping of the passed adapter's file")
{
    const Rig rig;
    const Device other{"efa_1"};
    const std::uint64_t queue = number(rig.pair.send.buffer);
    std::vector<std::byte> heap(2 * page);
    const std::uint64_t own = (number(heap.data()) + page - 1) & ~(page - 1);
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const UniqueFd again(::open("/dev/infiniband/uverbs0", O_RDWR | O_CLOEXEC));
    const auto error = [](int fd, std::uint32_t kind, std::uint64_t address) {
        return Regs(fd, kind, address, page).error;
    };
    CHECK(error(rig.uverbs(), P2PRDMA_HCA_QUEUE, own) == EFAULT);
    CHECK(error(rig.uverbs(), P2PRDMA_HCA_RING, own) == EFAULT);
    CHECK(error(rig.uverbs(), P2PRDMA_HCA_QUEUE, page) == EFAULT);
    CHECK(error(rig.uverbs(), P2PRDMA_HCA_QUEUE, std::uint64_t(1) << 63) == EFAULT);
    CHECK(error(other.context->cmd_fd, P2PRDMA_HCA_QUEUE, queue) == EFAULT);
    CHECK(error(again.get(), P2PRDMA_HCA_QUEUE, queue) == EFAULT);
    CHECK(error(null.get(), P2PRDMA_HCA_QUEUE, queue) == EBADF);
    CHECK(error(rig.card.get(), P2PRDMA_HCA_QUEUE, queue) == EBADF);
    CHECK(error(-1, P2PRDMA_HCA_QUEUE, queue) == EBADF);

    const UniqueFd memory = allocate(rig.card, page);
    const Map map(memory, page);
    CHECK(error(rig.uverbs(), P2PRDMA_HCA_QUEUE, number(map.address())) == EFAULT);
    CHECK(error(memory.get(), P2PRDMA_HCA_QUEUE, number(map.address())) == EBADF);
}

TEST_CASE("HCA_REGS: a mapping for reading only is refused")
{
    const Rig rig;
    CHECK(Regs(rig.uverbs(), P2PRDMA_HCA_RING, number(rig.pair.completions.buffer), page).error ==
          EPERM); // libefa maps completions so
    REQUIRE(::mprotect(rig.pair.send.buffer, page, PROT_READ) == 0);
    CHECK(rig.queue().error == EPERM);
    REQUIRE(::mprotect(rig.pair.send.buffer, page, PROT_READ | PROT_WRITE) == 0);
    CHECK(rig.queue().error == 0);
}

TEST_CASE("HCA_REGS: its size, flags and reserved tail")
{
    const UniqueFd hca(::open("/dev/p2prdma/hca", O_RDWR | O_CLOEXEC));
    const UniqueFd reader(::open("/dev/p2prdma/hca", O_RDONLY | O_CLOEXEC));
    struct {
        p2prdma_hca_regs args{};
        std::uint64_t tail = 0;
    } larger;
    larger.args.size = sizeof(larger);
    larger.args.uverbs_fd = -1;
    CHECK(call(hca, P2PRDMA_HCA_REGS, &larger) == EBADF);
    larger.tail = 1;
    CHECK(call(hca, P2PRDMA_HCA_REGS, &larger) == E2BIG);
    larger.args.size = sizeof(larger.args) - 4;
    CHECK(call(hca, P2PRDMA_HCA_REGS, &larger) == EINVAL);
    larger.args.size = sizeof(larger.args);
    CHECK(call(reader, P2PRDMA_HCA_REGS, &larger) == EACCES);
    CHECK(call(hca, P2PRDMA_GET_INFO, &larger) == ENOTTY);
    CHECK(call(hca, P2PRDMA_HCA_REGS, nullptr) == EFAULT);
    larger.args.flags = 1;
    CHECK(call(hca, P2PRDMA_HCA_REGS, &larger) == EOPNOTSUPP);
}

TEST_CASE("HCA_REGS: munmap, mremap and mprotect take windows away")
{
    std::optional<Rig> rig;
    rig.emplace();
    const Regs regs = rig->queue();
    const Window window(rig->card, regs.fd, 0, page);
    REQUIRE(window.error == 0);
    CHECK_FALSE(window.taken_away());
    void* buffer = rig->pair.send.buffer;
    SECTION("munmap")
    {
        REQUIRE(::munmap(buffer, page) == 0);
    }
    SECTION("another mapping in its place")
    {
        REQUIRE(::mmap(buffer, page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == buffer);
    }
    SECTION("mprotect")
    {
        REQUIRE(::mprotect(buffer, page, PROT_NONE) == 0);
    }
    SECTION("the queue pair is destroyed")
    {
        rig->pair.qp.reset();
    }
    CHECK(window.taken_away());
    CHECK(Window(rig->card, regs.fd, 0, page).error == ENODEV);
    if (rig->pair.qp) // which its destruction needs
        REQUIRE(::mmap(buffer, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                buffer);
}

TEST_CASE("WINDOW_SHUT: takes a window away, but keeps its slot")
{
    const Rig rig;
    const Regs regs = rig.queue();
    std::optional<Window> window;
    window.emplace(rig.card, regs.fd, 0, page);
    REQUIRE(window->error == 0);
    const auto shut = [&](std::uint64_t argument) {
        return ::ioctl(window->fd.get(), P2PRDMA_WINDOW_SHUT, argument) ? errno : 0;
    };
    CHECK(shut(1) == EINVAL);
    CHECK_FALSE(window->taken_away());
    CHECK(::ioctl(window->fd.get(), P2PRDMA_WINDOW_OPEN, 0) != 0);
    CHECK(errno == ENOTTY);
    CHECK(shut(0) == 0);
    CHECK(window->taken_away());
    CHECK(shut(0) == 0); // once more changes nothing
    const Window next(rig.card, regs.fd, 0, page);
    REQUIRE(next.error == 0); // what lay behind it is still there for others
    CHECK(next.args.slot != window->args.slot);
    const auto slot = window->args.slot;
    window.reset();
    CHECK(Window(rig.card, regs.fd, 0, page).args.slot == slot);
    CHECK_FALSE(next.taken_away());
}

TEST_CASE("HCA_REGS: a ring's window goes with its mapping, too")
{
    Rig rig;
    const Regs regs = rig.ring();
    const Window window(rig.card, regs.fd, 0, page, P2PRDMA_ACCESS_READ | P2PRDMA_ACCESS_WRITE);
    REQUIRE(window.error == 0);
    rig.pair.qp.reset();
    CHECK(window.taken_away());
}

TEST_CASE("HCA_REGS: the death of the process takes windows away that others hold")
{
    const UniqueFd card = open_card();
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    // The child's window stays open here: descriptor tables are shared.
    const auto pass = [&](int fd) {
        char byte = 0, space[CMSG_SPACE(sizeof(int))] = {};
        iovec io{&byte, 1};
        msghdr message{};
        message.msg_iov = &io;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof(space);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        return ::sendmsg(pair[1], &message, 0);
    };
    const int status = in_child([&] {
        const Rig rig;
        const Regs regs = rig.queue();
        const Window window(rig.card, regs.fd, 0, page);
        if (window.error != 0 || window.taken_away() || pass(window.fd.get()) != 1)
            ::_exit(1);
        ::raise(SIGKILL);
    });
    REQUIRE(WIFSIGNALED(status));
    char byte = 0, space[CMSG_SPACE(sizeof(int))] = {};
    iovec io{&byte, 1};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = space;
    message.msg_controllen = sizeof(space);
    REQUIRE(::recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC) == 1);
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    const UniqueFd window(fd);
    pollfd item{.fd = fd, .events = 0, .revents = 0};
    CHECK(::poll(&item, 1, 0) == 1);
    CHECK((item.revents & POLLHUP) != 0);
    ::close(pair[0]);
    ::close(pair[1]);
}

TEST_CASE("HCA_REGS: threads open windows while the mapping goes")
{
    for (int round = 0; round < 20; round++) {
        std::optional<Rig> rig;
        rig.emplace();
        const Regs regs = rig->queue();
        REQUIRE(regs.error == 0);
        std::vector<std::unique_ptr<Window>> windows;
        std::thread opener([&] {
            for (int i = 0; i < 8; i++)
                windows.push_back(std::make_unique<Window>(rig->card, regs.fd, 0, page));
        });
        rig->pair.qp.reset();
        opener.join();
        for (const auto& window : windows)
            CHECK((window->error == ENODEV || window->taken_away()));
    }
}

TEST_CASE("HCA_REGS: unbinding the adapter's driver takes windows away")
{
    const char* unbind = std::getenv("P2PRDMA_EFA_UNBIND");
    if (!unbind)
        SKIP("nobody said how to unbind it");
    const int status = in_child([&] {
        const Rig rig;
        const Regs queue = rig.queue(), ring = rig.ring(), doorbell = rig.doorbell();
        const Window a(rig.card, queue.fd, 0, page), b(rig.card, ring.fd, 0, page),
            c(rig.card, doorbell.fd, doorbell.args.offset, 4);
        if (a.error || b.error || c.error || a.taken_away() || b.taken_away() || c.taken_away())
            ::_exit(1);
        // The driver then waits until the adapter is closed, so this waits for the windows only.
        if (std::system((std::string("(") + unbind + ") &").c_str()) != 0)
            ::_exit(2);
        if (!a.taken_away(20000) || !b.taken_away(20000) || !c.taken_away(20000))
            ::_exit(3);
        if (Window(rig.card, queue.fd, 0, page).error != ENODEV)
            ::_exit(4);
        ::_exit(0); // without destroying anything
    });
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(WIFEXITED(status));
}
