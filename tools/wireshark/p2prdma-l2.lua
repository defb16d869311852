-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
--
-- Dissects RDMA over Ethernet frames without a network layer (Documentation/l2-wire.rst).
--
--   wireshark -X lua_script:tools/wireshark/p2prdma-l2.lua capture.pcap
--
-- or copy it into Wireshark's folder of personal Lua plugins. The EtherType is a preference.

local bit = bit or require("bit")

local l2 = Proto("p2prdma_l2", "RDMA over Ethernet")

local HEADER, SEAL, CRC = 16, 24, 4
local DEFAULT_TYPE = 0x88b5

local opcodes = {
    [0x00] = "send", [0x01] = "write", [0x02] = "read request", [0x03] = "read response",
    [0x04] = "fetch and add", [0x05] = "compare and swap", [0x06] = "atomic response",
    [0x10] = "ack", [0x11] = "nak", [0x12] = "probe",
    [0x20] = "connect request", [0x21] = "connect reply", [0x22] = "ready to use",
    [0x23] = "reject", [0x24] = "disconnect request", [0x25] = "disconnect reply",
    [0x30] = "discover", [0x31] = "offer", [0x32] = "keep alive",
}
local syndromes = {
    [0] = "none", "receiver not ready", "access", "invalid", "operation", "fault", "full", "no link",
}
local fault_kinds = { "delay", "resume", "abort", "stall" }

local f = {}
local function field(make, name, ...)
    f[name:gsub("%.", "_")] = make("p2prdma_l2." .. name, ...)
end

field(ProtoField.uint8, "version", "Version", base.DEC, nil, 0xf0)
field(ProtoField.uint8, "class", "Traffic class", base.DEC, nil, 0x0f)
field(ProtoField.uint8, "opcode", "Opcode", base.HEX, opcodes)
field(ProtoField.uint8, "flags", "Flags", base.HEX)
local flag_names = {
    { 0x01, "first", "First of a message" }, { 0x02, "last", "Last of a message" },
    { 0x04, "solicited", "Solicited" }, { 0x08, "ack_request", "Acknowledge at once" },
    { 0x10, "congested", "Receiver congested" }, { 0x20, "reserved", "Reserved" },
    { 0x40, "again", "Sent before" }, { 0x80, "sealed", "Sealed" },
}
for _, flag in ipairs(flag_names) do
    field(ProtoField.bool, "flags." .. flag[2], flag[3], 8, nil, flag[1])
end
field(ProtoField.uint8, "credits", "Credits")
field(ProtoField.uint24, "dst_qp", "Destination queue pair", base.HEX)
field(ProtoField.uint8, "epoch", "Destination's epoch", base.HEX)
field(ProtoField.uint24, "psn", "PSN")
field(ProtoField.uint8, "extensions", "Extensions", base.HEX)
field(ProtoField.uint16, "payload_length", "Payload length")
field(ProtoField.uint16, "src_tag", "Tag", base.HEX)

field(ProtoField.uint64, "remote.address", "Address", base.HEX)
field(ProtoField.uint32, "remote.key", "Key", base.HEX)
field(ProtoField.uint32, "remote.length", "Length of the message")
field(ProtoField.uint64, "atomic.operand", "Operand", base.HEX)
field(ProtoField.uint64, "atomic.compare", "Compare", base.HEX)
field(ProtoField.uint32, "immediate", "Immediate", base.HEX)
field(ProtoField.uint24, "ack.next", "Next PSN expected")
field(ProtoField.uint8, "ack.syndrome", "Syndrome", base.DEC, syndromes)
field(ProtoField.uint24, "ack.messages", "Messages done")
field(ProtoField.bytes, "sack", "Selective acknowledgement")
field(ProtoField.uint24, "sack.psn", "Received out of order")
field(ProtoField.uint8, "fault.kind", "Kind", base.DEC, fault_kinds)
field(ProtoField.uint8, "fault.epoch", "Fault")
field(ProtoField.uint24, "fault.psn", "PSN that waits")
field(ProtoField.uint32, "fault.estimate", "Estimate (microseconds)")
field(ProtoField.uint32, "fault.buffered", "Bytes held")
field(ProtoField.uint32, "fault.window", "Bytes that may be sent")
field(ProtoField.uint24, "connect.qp", "Sender's queue pair", base.HEX)
field(ProtoField.uint8, "connect.epoch", "Sender's epoch", base.HEX)
field(ProtoField.uint16, "connect.tag", "Tag for frames to the sender", base.HEX)
field(ProtoField.uint16, "connect.payload_limit", "Payload limit")
field(ProtoField.uint24, "connect.psn", "First PSN")
field(ProtoField.uint8, "connect.max_reads", "Reads and atomics under way")
field(ProtoField.uint32, "connect.service", "Service")
field(ProtoField.uint32, "connect.features", "Features", base.HEX)
field(ProtoField.bool, "connect.features.fault_delay", "Page-fault delay", 32, nil, 1)
field(ProtoField.bool, "connect.features.sealed", "Sealed", 32, nil, 2)
field(ProtoField.uint32, "connect.reason", "Reason")
field(ProtoField.bytes, "connect.nonce", "Nonce")

field(ProtoField.bytes, "payload", "Payload")
field(ProtoField.uint64, "seal.counter", "Counter")
field(ProtoField.bytes, "seal.tag", "Tag")
field(ProtoField.uint32, "crc", "CRC32C", base.HEX)
field(ProtoField.bool, "crc.good", "Good")
field(ProtoField.bytes, "padding", "Padding")

local fields = {}
for _, one in pairs(f) do
    fields[#fields + 1] = one
end
l2.fields = fields

local e = {
    crc = ProtoExpert.new("p2prdma_l2.bad_crc", "Bad CRC", expert.group.CHECKSUM, expert.severity.ERROR),
    short = ProtoExpert.new("p2prdma_l2.short", "Frame too short", expert.group.MALFORMED,
        expert.severity.ERROR),
    version = ProtoExpert.new("p2prdma_l2.bad_version", "Another version", expert.group.UNDECODED,
        expert.severity.WARN),
    opcode = ProtoExpert.new("p2prdma_l2.bad_opcode", "Unknown opcode", expert.group.MALFORMED,
        expert.severity.ERROR),
    nak = ProtoExpert.new("p2prdma_l2.refused", "Refused", expert.group.RESPONSE_CODE,
        expert.severity.WARN),
    reject = ProtoExpert.new("p2prdma_l2.rejected", "Connection rejected", expert.group.RESPONSE_CODE,
        expert.severity.WARN),
    again = ProtoExpert.new("p2prdma_l2.retransmission", "Sent before", expert.group.SEQUENCE,
        expert.severity.NOTE),
    gap = ProtoExpert.new("p2prdma_l2.gap", "Frames are missing", expert.group.SEQUENCE,
        expert.severity.NOTE),
    fault = ProtoExpert.new("p2prdma_l2.page_fault", "Page fault", expert.group.SEQUENCE,
        expert.severity.CHAT),
}
local experts = {}
for _, one in pairs(e) do
    experts[#experts + 1] = one
end
l2.experts = experts

l2.prefs.ether_type = Pref.uint("EtherType", DEFAULT_TYPE, "Of the frames that this dissects")

-- CRC32C, reversed; the library's numbers are signed, and compared as such.
local crc_table = {}
for byte = 0, 255 do
    local value = byte
    for _ = 1, 8 do
        local carry = bit.band(value, 1)
        value = bit.rshift(value, 1)
        if carry == 1 then
            value = bit.bxor(value, 0x82f63b78)
        end
    end
    crc_table[byte] = value
end

local function crc32c(range)
    local bytes = range:bytes()
    local crc = bit.tobit(0xffffffff)
    for i = 0, bytes:len() - 1 do
        crc = bit.bxor(bit.rshift(crc, 8), crc_table[bit.band(bit.bxor(crc, bytes:get_index(i)), 0xff)])
    end
    return bit.bnot(crc)
end

local function add_remote(tree, at)
    tree:add(f.remote_address, at(0, 8))
    tree:add(f.remote_key, at(8, 4))
    tree:add(f.remote_length, at(12, 4))
end

local function add_atomic(tree, at)
    tree:add(f.atomic_operand, at(0, 8))
    tree:add(f.atomic_compare, at(8, 8))
end

local function add_immediate(tree, at)
    tree:add(f.immediate, at(0, 4))
end

local function add_ack(tree, at, frame)
    tree:add(f.ack_next, at(0, 3))
    local item = tree:add(f.ack_syndrome, at(3, 1))
    tree:add(f.ack_messages, at(4, 3))
    frame.next = at(0, 3):uint()
    frame.note[#frame.note + 1] = "next " .. frame.next
    local syndrome = at(3, 1):uint()
    if syndrome ~= 0 then
        local name = syndromes[syndrome] or ("syndrome " .. syndrome)
        item:add_proto_expert_info(e.nak, "Refused: " .. name)
        frame.note[#frame.note + 1] = name
    end
end

local function add_sack(tree, at, frame)
    local item = tree:add(f.sack, at(0, 32))
    item:add_proto_expert_info(e.gap)
    for i = 0, 255 do
        local byte = at(math.floor(i / 8), 1)
        if bit.band(byte:uint(), bit.lshift(1, i % 8)) ~= 0 then
            item:add(f.sack_psn, byte, ((frame.next or 0) + 1 + i) % 0x1000000)
        end
    end
end

local function add_fault(tree, at, frame)
    local kind = at(0, 1):uint()
    local item = tree:add(f.fault_kind, at(0, 1))
    tree:add(f.fault_epoch, at(1, 1))
    tree:add(f.fault_psn, at(5, 3))
    tree:add(f.fault_estimate, at(8, 4))
    tree:add(f.fault_buffered, at(12, 4))
    tree:add(f.fault_window, at(16, 4))
    local note = "page fault " .. (fault_kinds[kind] or kind) .. " of " .. at(5, 3):uint()
    item:add_proto_expert_info(e.fault, note)
    frame.note[#frame.note + 1] = note
end

local function add_connect(tree, at)
    tree:add(f.connect_qp, at(0, 3))
    tree:add(f.connect_epoch, at(3, 1))
    tree:add(f.connect_tag, at(4, 2))
    tree:add(f.connect_payload_limit, at(6, 2))
    tree:add(f.connect_psn, at(8, 3))
    tree:add(f.connect_max_reads, at(11, 1))
    tree:add(f.connect_service, at(12, 4))
    local features = tree:add(f.connect_features, at(16, 4))
    features:add(f.connect_features_fault_delay, at(16, 4))
    features:add(f.connect_features_sealed, at(16, 4))
    tree:add(f.connect_reason, at(20, 4))
    tree:add(f.connect_nonce, at(28, 16))
end

-- In the order of their bits.
local extensions = {
    { "Remote memory", 16, add_remote }, { "Atomic", 16, add_atomic },
    { "Immediate", 4, add_immediate }, { "Acknowledgement", 8, add_ack },
    { "Selective acknowledgement", 32, add_sack }, { "Page fault", 20, add_fault },
    { "Connect", 64, add_connect },
}

local function add_header(tree, buffer, frame)
    tree:add(f.version, buffer(0, 1))
    tree:add(f.class, buffer(0, 1))
    local opcode = tree:add(f.opcode, buffer(1, 1))
    local flags = tree:add(f.flags, buffer(2, 1))
    for _, flag in ipairs(flag_names) do
        flags:add(f["flags_" .. flag[2]], buffer(2, 1))
    end
    tree:add(f.credits, buffer(3, 1))
    tree:add(f.dst_qp, buffer(4, 3))
    tree:add(f.epoch, buffer(7, 1))
    tree:add(f.psn, buffer(8, 3))
    tree:add(f.extensions, buffer(11, 1))
    tree:add(f.payload_length, buffer(12, 2))
    tree:add(f.src_tag, buffer(14, 2))
    if not opcodes[frame.opcode] then
        opcode:add_proto_expert_info(e.opcode)
    elseif opcodes[frame.opcode] == "reject" then
        opcode:add_proto_expert_info(e.reject)
    end
    if bit.band(frame.flags, 0x40) ~= 0 then
        flags:add_proto_expert_info(e.again)
    end
end

-- Returns where the payload begins, or nothing if the frame ends before.
local function add_extensions(tree, buffer, frame)
    local at = HEADER
    for i, extension in ipairs(extensions) do
        local name, size, add = extension[1], extension[2], extension[3]
        if bit.band(frame.extensions, bit.lshift(1, i - 1)) ~= 0 then
            if buffer:len() < at + size then
                return nil
            end
            local start = at
            local part = tree:add(buffer(at, size), name)
            add(part, function(offset, length) return buffer(start + offset, length) end, frame)
            at = at + size
        end
    end
    return at
end

local function add_crc(tree, buffer, at)
    local range = buffer(at, CRC)
    local item = tree:add(f.crc, range)
    local right = crc32c(buffer(0, at))
    local good = bit.tobit(range:uint()) == right
    item:add(f.crc_good, range, good)
    if not good then
        item:add_proto_expert_info(e.crc, "Bad CRC: it should be 0x" .. bit.tohex(right))
    end
end

local function info_of(frame)
    local text = opcodes[frame.opcode] or ("opcode " .. frame.opcode)
    if frame.opcode < 0x10 or frame.opcode == 0x11 or frame.opcode == 0x12 then
        text = text .. " psn " .. frame.psn
    end
    if frame.length > 0 then
        text = text .. ", " .. frame.length .. " bytes"
    end
    return #frame.note > 0 and text .. " (" .. table.concat(frame.note, ", ") .. ")" or text
end

local function read_frame(buffer)
    return {
        opcode = buffer(1, 1):uint(), flags = buffer(2, 1):uint(), psn = buffer(8, 3):uint(),
        extensions = buffer(11, 1):uint(), length = buffer(12, 2):uint(), note = {},
    }
end

function l2.dissector(buffer, pinfo, root)
    pinfo.cols.protocol = "RDMA-L2"
    local tree = root:add(l2, buffer())
    if buffer:len() < HEADER + CRC then
        tree:add_proto_expert_info(e.short)
        return buffer:len()
    end
    if bit.rshift(buffer(0, 1):uint(), 4) ~= 1 then
        tree:add(f.version, buffer(0, 1)):add_proto_expert_info(e.version)
        return buffer:len()
    end
    local frame = read_frame(buffer)
    add_header(tree, buffer, frame)
    local at = add_extensions(tree, buffer, frame)
    local seal = bit.band(frame.flags, 0x80) ~= 0 and SEAL or 0
    pinfo.cols.info = info_of(frame)
    if not at or buffer:len() < at + frame.length + seal + CRC then
        tree:add_proto_expert_info(e.short)
        return buffer:len()
    end
    if frame.length > 0 then
        tree:add(f.payload, buffer(at, frame.length))
        at = at + frame.length
    end
    if seal > 0 then
        local part = tree:add(buffer(at, SEAL), "Seal")
        part:add(f.seal_counter, buffer(at, 8))
        part:add(f.seal_tag, buffer(at + 8, 16))
        at = at + SEAL
    end
    add_crc(tree, buffer, at)
    if buffer:len() > at + CRC then
        tree:add(f.padding, buffer(at + CRC))
    end
    return buffer:len()
end

local ether_types = DissectorTable.get("ethertype")
local registered = DEFAULT_TYPE
ether_types:add(registered, l2)

function l2.prefs_changed()
    if l2.prefs.ether_type ~= registered then
        ether_types:remove(registered, l2)
        registered = l2.prefs.ether_type
        ether_types:add(registered, l2)
    end
end
