// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/efa/work_request.hpp"

#include <algorithm>
#include <cstring>

namespace lab::efa {

namespace {

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t offset)
{
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
}

bool well_formed(const SendMeta& meta, bool phase)
{
    constexpr std::uint8_t ends = SendMeta::ctrl2_first | SendMeta::ctrl2_last;
    return ((meta.ctrl2 & SendMeta::ctrl2_phase) != 0) == phase &&
           (meta.ctrl1 & SendMeta::ctrl1_meta_desc) != 0 && (meta.ctrl2 & ends) == ends;
}

void copy_meta(const SendMeta& meta, WorkRequest& request)
{
    request.req_id = meta.req_id;
    request.opcode = static_cast<Opcode>(meta.ctrl1 & SendMeta::ctrl1_opcode_mask);
    request.comp_req = (meta.ctrl2 & SendMeta::ctrl2_comp_req) != 0;
    request.has_imm = (meta.ctrl1 & SendMeta::ctrl1_has_imm) != 0;
    request.is_inline = (meta.ctrl1 & SendMeta::ctrl1_inline) != 0;
    request.ah = meta.ah;
    request.destination_qp = meta.dest_qp_num;
    request.qkey = meta.qkey;
    request.immediate = meta.immediate;
}

CompletionStatus parse_inline(std::span<const std::byte> data, std::uint16_t length,
                              WorkRequest& request)
{
    if (length > data.size() || length > WorkRequest::max_inline)
        return CompletionStatus::bad_length;
    std::copy_n(data.begin(), length, request.inline_data.begin());
    request.length = length;
    return CompletionStatus::ok;
}

CompletionStatus parse_buffers(std::span<const std::byte> data, std::uint16_t count,
                               std::size_t limit, WorkRequest& request)
{
    if (count > limit)
        return CompletionStatus::bad_length;
    std::uint64_t total = 0;
    for (unsigned i = 0; i < count; ++i) {
        request.buffers[i] = read_at<SendBuffer>(data, i * sizeof(SendBuffer));
        total += request.buffers[i].length;
    }
    request.buffer_count = count;
    request.length = static_cast<std::uint32_t>(total);
    return total == request.length ? CompletionStatus::ok : CompletionStatus::bad_length;
}

CompletionStatus parse_data(std::span<const std::byte> data, std::uint16_t length,
                            std::size_t max_buffers, WorkRequest& request)
{
    return request.is_inline ? parse_inline(data, length, request)
                             : parse_buffers(data, length, max_buffers, request);
}

CompletionStatus parse_rdma(std::span<const std::byte> data, std::uint16_t length,
                            WorkRequest& request)
{
    if (request.is_inline && request.opcode == Opcode::rdma_read)
        return CompletionStatus::unsupported_op;
    request.remote = read_at<RemoteAddress>(data, 0);
    auto status = parse_data(data.subspan(sizeof(RemoteAddress)), length, 1, request);
    if (status == CompletionStatus::ok && request.remote.length != request.length)
        status = CompletionStatus::bad_length;
    return status;
}

} // namespace

CompletionStatus parse_element(std::span<const std::byte> element, bool phase, WorkRequest& request)
{
    auto meta = read_at<SendMeta>(element, 0);
    auto data = element.subspan(sizeof(SendMeta));
    copy_meta(meta, request);
    if (!well_formed(meta, phase))
        return CompletionStatus::qp_internal_error;
    switch (request.opcode) {
    case Opcode::send:
        return parse_data(data, meta.length, request.buffers.size(), request);
    case Opcode::rdma_read:
    case Opcode::rdma_write:
        return parse_rdma(data, meta.length, request);
    }
    return CompletionStatus::unsupported_op;
}

} // namespace lab::efa
