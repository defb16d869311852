// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
//
// Completion queues and completion counters of an EFA adapter in a card: in its memory, and on its
// doorbell pages, which the adapter then rings. Two adapters and a card in one machine.
#include "tests/guest/efa_pair.hpp"

#include <p2prdma/card.hpp>

#include <span>

using namespace efa_pair;
using p2prdma::Card;
using p2prdma::Memory;

namespace {

constexpr std::uint32_t cq_depth = 64;
constexpr std::size_t cq_length = 4096; // at least a page, whatever the entries take

/// A completion queue at the beginning of card memory, which is zeroed, and which libefa polls.
End::MakeCq cq_in(const Memory& memory, const p2prdma::Mapping& mapping)
{
    return [&](ibv_context* context) {
        ibv_cq_init_attr_ex attr{};
        attr.cqe = cq_depth;
        attr.wc_flags = IBV_WC_STANDARD_FLAGS;
        efadv_cq_init_attr efa{};
        efa.flags = EFADV_CQ_INIT_FLAGS_EXT_MEM_DMABUF;
        void* start = const_cast<std::byte*>(mapping.span().data());
        efa.ext_mem_dmabuf = {.buffer = static_cast<std::uint8_t*>(start),
                              .length = cq_length,
                              .offset = 0,
                              .fd = memory.fd(),
                              .reserved = {}};
        return ibv_cq_ex_to_cq(
            need(efadv_create_cq(context, &attr, &efa, sizeof(efa)), "no CQ in card memory"));
    };
}

/// A counter of `operations` of an end's queue pair, whose number lies at `offset` of a dma-buf.
class ExternalCounter {
public:
    ExternalCounter(End& end, int dmabuf, std::uint64_t offset, std::uint32_t operations)
    {
        ibv_comp_cntr_init_attr init{};
        efadv_comp_cntr_init_attr efa{};
        efa.flags = EFADV_COMP_CNTR_INIT_WITH_COMP_EXTERNAL_MEM;
        efa.comp_cntr_ext_mem.type = EFADV_MEMORY_LOCATION_DMABUF;
        efa.comp_cntr_ext_mem.dmabuf = {.offset = offset, .fd = dmabuf, .reserved = 0};
        counter_ = need(efadv_create_comp_cntr(end.context.get(), &init, &efa, sizeof(efa)),
                        "no counter in external memory");
        ibv_qp_attach_comp_cntr_attr attach{.comp_mask = 0, .op_mask = operations};
        REQUIRE(ibv_qp_attach_comp_cntr(end.qp.get(), counter_, &attach) == 0);
    }
    ibv_comp_cntr* get() { return counter_; }

private:
    ibv_comp_cntr* counter_; // destroyed with its context
};

/// Reads 8 bytes until they are as expected; what they were at last.
std::uint64_t await(const p2prdma::Mapping& mapping, std::size_t offset, std::uint64_t expected)
{
    std::uint64_t value = 0;
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do
        mapping.read(offset, std::as_writable_bytes(std::span(&value, 1)));
    while (value != expected && std::chrono::steady_clock::now() < end);
    return value;
}

/// Registers of a doorbell page that show what it counted.
constexpr std::size_t page_count = 0xff0;
constexpr std::size_t page_last = 0xff8;

} // namespace

TEST_CASE("completions arrive in card memory, and the rings wrap")
{
    Card card = Card::open(0);
    Memory memory = card.allocate(cq_length);
    p2prdma::Mapping mapping = memory.map();
    End near("efa_0", 0, cq_in(memory, mapping));
    End far("efa_1");
    near.connect(far);
    far.connect(near);
    for (unsigned i = 0; i < 2 * cq_depth + 3; ++i) {
        near.buffer[0] = static_cast<unsigned char>(i);
        near.write(far.address(), far.mr->rkey, 64);
        CHECK(near.next().status == IBV_WC_SUCCESS);
        CHECK(far.buffer[0] == static_cast<unsigned char>(i));
    }
    near.write(far.address(), far.mr->rkey + 1, 64);
    CHECK(near.next().status == IBV_WC_REM_ACCESS_ERR);
    Memory neighbour = card.allocate(cq_length);
    std::vector<std::byte> bytes(cq_length);
    neighbour.map().read(0, bytes);
    CHECK(bytes == std::vector<std::byte>(cq_length));
}

TEST_CASE("a counter in card memory counts behind what it announces")
{
    Pair pair;
    Card card = Card::open(0);
    Memory memory = card.allocate(4096);
    p2prdma::Mapping mapping = memory.map();
    ExternalCounter sent(pair.near, memory.fd(), 64, IBV_QP_ATTACH_COMP_CNTR_OP_RDMA_WRITE);
    ExternalCounter came(pair.far, memory.fd(), 128, IBV_QP_ATTACH_COMP_CNTR_OP_REMOTE_RDMA_WRITE);
    for (std::uint64_t i = 1; i <= 20; ++i) {
        pair.near.buffer[99999] = static_cast<unsigned char>(i);
        pair.near.write(pair.far.address(), pair.far.mr->rkey, 100000);
        CHECK(await(mapping, 128, i) == i);
        CHECK(pair.far.buffer[99999] == static_cast<unsigned char>(i));
        CHECK(await(mapping, 64, i) == i);
        CHECK(pair.near.next().status == IBV_WC_SUCCESS);
    }
    // By admin commands, which write there too.
    REQUIRE(ibv_set_comp_cntr(sent.get(), 1000) == 0);
    CHECK(await(mapping, 64, 1000) == 1000);
    REQUIRE(ibv_inc_comp_cntr(sent.get(), 5) == 0);
    CHECK(await(mapping, 64, 1005) == 1005);
    pair.near.qp.reset();
    pair.far.qp.reset();
    CHECK(ibv_destroy_comp_cntr(sent.get()) == 0);
    CHECK(ibv_destroy_comp_cntr(came.get()) == 0);
}

TEST_CASE("R6.1 a counter on a doorbell page rings the card")
{
    Card card = Card::open(0);
    if (!card.info().has_doorbells)
        SKIP("the module has no doorbells");
    Pair pair;
    p2prdma::Doorbell doorbell = card.open_doorbell();
    p2prdma::Mapping page = doorbell.map();
    ExternalCounter came(pair.far, doorbell.fd(), 0, IBV_QP_ATTACH_COMP_CNTR_OP_REMOTE_RDMA_WRITE);
    for (std::uint64_t i = 1; i <= 20; ++i) {
        pair.near.write(pair.far.address(), pair.far.mr->rkey, 4096);
        CHECK(await(page, page_last, i) == i);
        CHECK(pair.near.next().status == IBV_WC_SUCCESS);
    }
    REQUIRE(ibv_set_comp_cntr(came.get(), 500) == 0);
    CHECK(await(page, page_last, 500) == 500);
    std::uint32_t count = 0;
    page.read(page_count, std::as_writable_bytes(std::span(&count, 1)));
    CHECK(count >= 21);
    pair.far.qp.reset();
    CHECK(ibv_destroy_comp_cntr(came.get()) == 0);
}
