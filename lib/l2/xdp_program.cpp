// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lib/l2/xdp_program.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

namespace p2prdma::l2 {
namespace {

constexpr const char* program_name = "p2prdma_l2";

/// NETDEV_XDP_ACT_XSK_ZEROCOPY of <linux/netdev.h>, which is younger than AF_XDP.
constexpr std::uint64_t xsk_zero_copy = 8;

// --- instructions -------------------------------------------------------------------------------

using Register = std::uint8_t;
constexpr Register r0 = BPF_REG_0, r1 = BPF_REG_1, r2 = BPF_REG_2, r3 = BPF_REG_3, r4 = BPF_REG_4,
                   r5 = BPF_REG_5;

bpf_insn instruction(int code, Register to, Register from, std::int16_t offset,
                     std::int32_t value) noexcept
{
    bpf_insn made = {};
    made.code = static_cast<__u8>(code);
    made.dst_reg = to & 0xf;
    made.src_reg = from & 0xf;
    made.off = offset;
    made.imm = value;
    return made;
}

bpf_insn load(int width, Register to, Register from, std::size_t offset) noexcept
{
    return instruction(BPF_LDX | BPF_MEM | width, to, from, static_cast<std::int16_t>(offset), 0);
}

/// By a number in the instruction, which is what BPF_K, 0, says.
bpf_insn compute(int operation, Register to, std::int32_t value) noexcept
{
    return instruction(BPF_ALU64 | operation, to, 0, 0, value);
}

bpf_insn copy(Register to, Register from) noexcept
{
    return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

/// Numbers as they stand in a frame, loaded by this machine.
template <class T>
std::int32_t as_loaded(const std::uint8_t* bytes) noexcept
{
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return static_cast<std::int32_t>(value);
}

/// A program under construction. There are two places to jump to: `pass` and `take`.
class Assembler {
public:
    enum class Target : std::uint8_t { pass, take };

    void emit(const bpf_insn& one) { code_.at(size_++) = one; }
    void emit_map(Register to, int map)
    {
        emit(instruction(BPF_LD | BPF_DW, to, BPF_PSEUDO_MAP_FD, 0, map));
        emit({}); // the upper half of its number
    }
    void jump(int condition, Register left, std::int32_t right, Target target)
    {
        note(target);
        emit(instruction(BPF_JMP32 | condition | BPF_K, left, 0, 0, right));
    }
    void pass_if_beyond(Register place, Register end)
    {
        note(Target::pass);
        emit(instruction(BPF_JMP | BPF_JGT | BPF_X, place, end, 0, 0));
    }
    /// The jumps noted for `target` lead here.
    void here(Target target) noexcept
    {
        for (std::size_t at = 0; at < size_; at++)
            if (jumps_[at] && target_[at] == target)
                code_[at].off = static_cast<std::int16_t>(size_ - at - 1);
    }
    [[nodiscard]] std::span<const bpf_insn> code() const noexcept { return {code_.data(), size_}; }

private:
    static constexpr std::size_t most = 48;

    void note(Target target)
    {
        jumps_.at(size_) = true;
        target_.at(size_) = target;
    }

    std::array<bpf_insn, most> code_ = {};
    std::array<bool, most> jumps_ = {};
    std::array<Target, most> target_ = {};
    std::size_t size_ = 0;
};

using enum Assembler::Target;

// --- the program --------------------------------------------------------------------------------

/// r2: the frame, r3: its end; what is not for this station or all passes.
void check_destination(Assembler& to, const MacAddress& address)
{
    constexpr std::int16_t over_address = 4;
    to.emit(load(BPF_B, r5, r2, 0));
    to.emit(instruction(BPF_JMP | BPF_JSET | BPF_K, r5, 0, over_address, 1)); // a group
    to.emit(load(BPF_W, r5, r2, 0));
    to.jump(BPF_JNE, r5, as_loaded<std::uint32_t>(address.bytes.data()), pass);
    to.emit(load(BPF_H, r5, r2, 4));
    to.jump(BPF_JNE, r5, as_loaded<std::uint16_t>(address.bytes.data() + 4), pass);
}

void check_length(Assembler& to, std::int32_t bytes)
{
    to.emit(copy(r4, r2));
    to.emit(compute(BPF_ADD, r4, bytes));
    to.pass_if_beyond(r4, r3);
}

/// Without a VLAN, a tag of VLAN 0 (a priority) does not matter.
void check_type(Assembler& to, const FrameFilter& filter)
{
    to.emit(load(BPF_H, r5, r2, 12));
    if (!filter.vlan)
        to.jump(BPF_JEQ, r5, htons(filter.ether_type), take);
    to.jump(BPF_JNE, r5, htons(ether_type_vlan), pass);
    check_length(to, ethernet_header + vlan_tag);
    to.emit(load(BPF_H, r5, r2, 14));
    to.emit(compute(BPF_AND, r5, htons(0xfff)));
    to.jump(BPF_JNE, r5, htons(filter.vlan.value_or(0)), pass);
    to.emit(load(BPF_H, r5, r2, 16));
    to.jump(BPF_JNE, r5, htons(filter.ether_type), pass);
}

Assembler assemble(const FrameFilter& filter, const MacAddress& address, int sockets)
{
    Assembler to;
    to.emit(load(BPF_W, r2, r1, offsetof(xdp_md, data)));
    to.emit(load(BPF_W, r3, r1, offsetof(xdp_md, data_end)));
    check_length(to, ethernet_header);
    check_destination(to, address);
    check_type(to, filter);
    to.here(take);
    to.emit(load(BPF_W, r2, r1, offsetof(xdp_md, rx_queue_index)));
    to.emit_map(r1, sockets);
    to.emit(compute(BPF_MOV, r3, XDP_PASS)); // if the queue has no socket
    to.emit(instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map));
    to.emit(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    to.here(pass);
    to.emit(compute(BPF_MOV, r0, XDP_PASS));
    to.emit(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    return to;
}

UniqueFd load_program(const FrameFilter& filter, const MacAddress& address, int sockets)
{
    const auto program = assemble(filter, address, sockets);
    return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_XDP, program_name, "Dual BSD/GPL",
                                  program.code().data(), program.code().size(), nullptr));
}

// --- attaching ----------------------------------------------------------------------------------

std::string name_of(__u32 program)
{
    const UniqueFd opened(bpf_prog_get_fd_by_id(program));
    bpf_prog_info info = {};
    __u32 size = sizeof info;
    if (!opened || bpf_obj_get_info_by_fd(opened.get(), &info, &size) || !info.name[0])
        return "number " + std::to_string(program);
    return info.name;
}

bool can_zero_copy([[maybe_unused]] const bpf_xdp_query_opts& answer) noexcept
{
#if LIBBPF_MAJOR_VERSION > 1 || LIBBPF_MINOR_VERSION >= 2
    return (answer.feature_flags & xsk_zero_copy) != 0;
#else
    return false; // it cannot be asked
#endif
}

std::string needs(const std::string& what, const Interface& interface)
{
    return "cannot " + what + " on " + interface.name() + " (needs CAP_NET_ADMIN and CAP_BPF)";
}

UniqueFd attach(const Interface& interface, int program, bool native)
{
    bpf_link_create_opts options = {};
    options.sz = sizeof options;
    options.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    UniqueFd link(bpf_link_create(program, interface.index(), BPF_XDP, &options));
    if (!link)
        throw system_error(errno, needs("attach an XDP program", interface));
    return link;
}

} // namespace

XdpState xdp_state(const Interface& interface)
{
    bpf_xdp_query_opts answer = {};
    answer.sz = sizeof answer;
    if (const int error = bpf_xdp_query(interface.index(), 0, &answer))
        throw system_error(-error, "cannot ask what XDP programs are on " + interface.name());
    const bool occupied = answer.attach_mode != XDP_ATTACHED_NONE;
    const auto program = answer.prog_id ? answer.prog_id : answer.drv_prog_id;
    return {.zero_copy = can_zero_copy(answer),
            .occupied = occupied,
            .program = occupied ? name_of(program ? program : answer.skb_prog_id) : ""};
}

XdpProgram::XdpProgram(const Interface& interface, const FrameFilter& filter,
                       const MacAddress& address, bool native)
    : filter_(filter)
{
    if (const auto state = xdp_state(interface); state.occupied)
        throw Error(Errc::unsupported,
                    interface.name() + " already has the XDP program " + state.program);
    sockets_.reset(bpf_map_create(BPF_MAP_TYPE_XSKMAP, program_name, sizeof(__u32), sizeof(__u32),
                                  interface.receive_queues(), nullptr));
    if (!sockets_)
        throw system_error(errno, needs("make a map for AF_XDP sockets", interface));
    program_ = load_program(filter, address, sockets_.get());
    if (!program_)
        throw system_error(errno, needs("load an XDP program", interface));
    link_ = attach(interface, program_.get(), native);
}

void XdpProgram::give_queue_to(unsigned queue, int socket)
{
    if (bpf_map_update_elem(sockets_.get(), &queue, &socket, BPF_ANY))
        throw system_error(errno, "cannot give a receive queue to an AF_XDP socket");
}

int XdpProgram::change_address(const MacAddress& address) noexcept
{
    auto program = load_program(filter_, address, sockets_.get());
    if (!program)
        return errno;
    if (const int error = bpf_link_update(link_.get(), program.get(), nullptr))
        return -error;
    program_ = std::move(program);
    return 0;
}

} // namespace p2prdma::l2
