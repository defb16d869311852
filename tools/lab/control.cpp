// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "tools/lab/control.hpp"

#include "tools/lab/event_loop.hpp"
#include "tools/lab/lab_server.hpp"
#include "tools/lab/log.hpp"
#include "tools/lab/unix_socket.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <sys/socket.h>
#include <utility>

namespace lab {

using nlohmann::json;

namespace {

constexpr std::size_t max_line = 4U << 20;
constexpr std::size_t max_transfer = 1U << 20;

/// What a command works with. `reply` is called once with the reply's own keys.
struct Context {
    LabServer& server;
    ObjectReader& request;
    std::function<void(json)> reply;
};

/// The request cannot be served; what() is the sentence for the client.
class RequestError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

const LabServer::Served& named_device(Context& context)
{
    std::string name = context.request.string("device");
    if (const auto* served = context.server.find(name))
        return *served;
    throw RequestError("there is no device \"" + name + "\"");
}

/// The device that the request names, or else all.
std::vector<const LabServer::Served*> chosen_devices(Context& context)
{
    std::string name = context.request.string_or("device", "");
    std::vector<const LabServer::Served*> chosen;
    for (const auto& served : context.server.devices()) {
        if (name.empty() || served.device->name() == name)
            chosen.push_back(&served);
    }
    if (chosen.empty() && !name.empty())
        throw RequestError("there is no device \"" + name + "\"");
    return chosen;
}

json route_bytes(const RouteBytes& bytes)
{
    json result = json::object();
    for (std::size_t i = 0; i < route_count; ++i)
        result[std::string(route_names[i])] = bytes.bytes[i];
    return result;
}

json register_counters(const VfioUserServer::Counters& counters)
{
    json result = json::object();
    for (unsigned region = 0; region <= vfio_user::region_config; ++region) {
        if (counters.reads[region] == 0 && counters.writes[region] == 0)
            continue;
        bool config = region == vfio_user::region_config;
        result[config ? "config" : "bar" + std::to_string(region)] = {
            {"reads", counters.reads[region]}, {"writes", counters.writes[region]}};
    }
    return result;
}

json message_counters(const VfioUserServer::Counters& counters)
{
    json result = json::object();
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < vfio_user::command_count; ++i) {
        total += counters.messages[i];
        if (counters.messages[i] != 0)
            result[std::string(vfio_user::command_names[i])] = counters.messages[i];
    }
    result["total"] = total;
    return result;
}

json device_counters(const LabServer::Served& served)
{
    PciDevice& device = *served.device;
    DmaEngine& dma = device.dma();
    const auto& counters = served.server->counters();
    return {{"connected", served.server->connected()},
            {"dma",
             {{"read", route_bytes(dma.bytes_read())},
              {"write", route_bytes(dma.bytes_written())},
              {"messages", dma.messages()},
              {"errors", dma.errors()}}},
            {"interrupts", device.interrupts()},
            {"registers", register_counters(counters)},
            {"messages", message_counters(counters)},
            {"refused", counters.refused},
            {"model", device.describe()}};
}

std::string to_hex(std::span<const std::byte> data)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(data.size() * 2);
    for (std::byte byte : data) {
        text += digits[std::to_integer<unsigned>(byte) >> 4];
        text += digits[std::to_integer<unsigned>(byte) & 15];
    }
    return text;
}

std::vector<std::byte> from_hex(std::string_view text)
{
    std::vector<std::byte> data;
    data.reserve(text.size() / 2);
    for (std::size_t i = 0; i + 2 <= text.size(); i += 2) {
        unsigned value = 0;
        const char* end = text.data() + i + 2;
        if (std::from_chars(text.data() + i, end, value, 16).ptr != end)
            break;
        data.push_back(static_cast<std::byte>(value));
    }
    if (data.size() * 2 != text.size())
        throw RequestError("\"data\" is an even number of hexadecimal digits");
    return data;
}

/// Replies what became of a transfer.
void reply_transfer(const std::function<void(json)>& reply, const DmaResult& result,
                    std::span<const std::byte> data)
{
    json answer{{"routes", route_bytes(result.routes)}};
    if (result.error != 0)
        answer["error"] = std::string("the DMA failed: ") + std::strerror(result.error);
    else if (!data.empty())
        answer["data"] = to_hex(data);
    reply(std::move(answer));
}

void ping(Context& context)
{
    context.reply(json::object());
}

void devices(Context& context)
{
    json list = json::object();
    for (const auto& served : context.server.devices())
        list[served.device->name()] = {{"type", served.type},
                                       {"connected", served.server->connected()}};
    context.reply({{"devices", list}});
}

void counters(Context& context)
{
    json list = json::object();
    for (const auto* served : chosen_devices(context))
        list[served->device->name()] = device_counters(*served);
    context.reply({{"devices", list}});
}

void reset_counters(Context& context)
{
    for (const auto* served : chosen_devices(context)) {
        served->device->clear_counters();
        served->server->reset_counters();
    }
    context.reply(json::object());
}

void violations(Context& context)
{
    json list = json::array();
    bool take = context.request.rest().value("take", false);
    for (const auto* served : chosen_devices(context)) {
        Violations& violations = served->device->violations();
        for (const auto& [kind, seen] : violations.seen())
            list.push_back({{"device", served->device->name()},
                            {"kind", kind},
                            {"count", seen.count},
                            {"first", seen.first}});
        if (take)
            violations.clear();
    }
    context.reply({{"violations", list}});
}

void peer_write(Context& context)
{
    PciDevice& device = *named_device(context).device;
    std::uint64_t address = context.request.number("address");
    auto data = from_hex(context.request.string("data"));
    context.request.finish();
    device.dma().write(address, data, [reply = context.reply](const DmaResult& result) {
        reply_transfer(reply, result, {});
    });
}

void peer_read(Context& context)
{
    PciDevice& device = *named_device(context).device;
    std::uint64_t address = context.request.number("address");
    std::uint64_t length = context.request.number("length");
    context.request.finish();
    if (length == 0 || length > max_transfer)
        throw RequestError("\"length\" is 1 to " + std::to_string(max_transfer));
    auto data = std::make_shared<std::vector<std::byte>>(length);
    device.dma().read(address, *data, [reply = context.reply, data](const DmaResult& result) {
        reply_transfer(reply, result, *data);
    });
}

void raise(Context& context)
{
    PciDevice& device = *named_device(context).device;
    std::uint64_t vector = context.request.number("vector");
    context.request.finish();
    if (vector >= 2048)
        throw RequestError("\"vector\" is below 2048");
    std::uint64_t before = device.interrupts();
    device.raise(static_cast<unsigned>(vector));
    context.reply({{"raised", device.interrupts() != before}});
}

void device_request(Context& context)
{
    PciDevice& device = *named_device(context).device;
    json rest = context.request.rest();
    rest.erase("cmd");
    if (!rest.contains("request"))
        throw RequestError("the request has no \"request\"");
    context.reply(device.control(rest["request"]));
}

using Command = void (*)(Context&);
const std::map<std::string, Command, std::less<>> commands{
    {"ping", ping},
    {"devices", devices},
    {"counters", counters},
    {"reset-counters", reset_counters},
    {"violations", violations},
    {"peer-write", peer_write},
    {"peer-read", peer_read},
    {"raise", raise},
    {"device", device_request},
};

json failure(std::string_view sentence)
{
    return {{"ok", false}, {"error", sentence}};
}

} // namespace

/// A connected client: lines in, lines out, one request at a time.
class ControlServer::Client : public std::enable_shared_from_this<Client> {
public:
    Client(ControlServer& server, UniqueFd socket) : server_(server), socket_(std::move(socket)) {}
    ~Client() { server_.loop_.unwatch(socket_.get()); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void start()
    {
        server_.loop_.watch(socket_.get(), [this] { readable(); });
    }

private:
    void readable();
    void serve_next();
    void finish(const json& reply);
    void flush();
    void close() { server_.clients_.erase(socket_.get()); }

    ControlServer& server_;
    UniqueFd socket_;
    std::string input_;
    std::string output_;
    bool busy_ = false; ///< a request waits for its reply
};

void ControlServer::Client::readable()
{
    auto self = shared_from_this();
    std::array<char, 65536> buffer;
    ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        close();
        return;
    }
    input_.append(buffer.data(), static_cast<std::size_t>(n));
    if (input_.size() > max_line) {
        log("control", "a client sent a line of more than 4 MiB and was cut off");
        close();
        return;
    }
    serve_next();
}

void ControlServer::Client::serve_next()
{
    while (!busy_) {
        std::size_t end = input_.find('\n');
        if (end == std::string::npos)
            return;
        std::string line = input_.substr(0, end);
        input_.erase(0, end + 1);
        busy_ = true;
        server_.serve(line, [client = weak_from_this()](const json& reply) {
            if (auto self = client.lock())
                self->finish(reply);
        });
    }
}

void ControlServer::Client::finish(const json& reply)
{
    output_ += reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    flush();
    busy_ = false;
    // A later reply comes from outside serve_next(): see to what arrived meanwhile.
    server_.loop_.post([client = weak_from_this()] {
        if (auto self = client.lock())
            self->serve_next();
    });
}

void ControlServer::Client::flush()
{
    while (!output_.empty()) {
        ssize_t n =
            ::send(socket_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; // full, or the client is gone: then the socket is readable too
        output_.erase(0, static_cast<std::size_t>(n));
    }
    if (output_.empty())
        server_.loop_.watch_writable(socket_.get(), {});
    else
        server_.loop_.watch_writable(socket_.get(), [this] { flush(); });
}

ControlServer::ControlServer(EventLoop& loop, LabServer& server, std::string path)
    : loop_(loop), server_(server), path_(std::move(path)), listener_(listen_unix(path_))
{
    loop_.watch(listener_.get(), [this] { accept(); });
}

ControlServer::~ControlServer()
{
    loop_.unwatch(listener_.get());
    ::unlink(path_.c_str());
}

void ControlServer::accept()
{
    UniqueFd socket = accept_unix(listener_.get());
    if (!socket)
        return;
    int fd = socket.get();
    auto client = std::make_shared<Client>(*this, std::move(socket));
    clients_[fd] = client;
    client->start();
}

void ControlServer::serve(const std::string& line, const Reply& reply)
{
    try {
        json object = json::parse(line, nullptr, false);
        if (object.is_discarded())
            throw RequestError("the request is not JSON");
        ObjectReader request(object, "the request");
        std::string name = request.string("cmd");
        auto command = commands.find(name);
        if (command == commands.end())
            throw RequestError("there is no command \"" + name + "\"");
        Context context{server_, request, [reply](json answer) {
                            answer["ok"] = !answer.contains("error");
                            reply(answer);
                        }};
        command->second(context);
    } catch (const std::exception& error) {
        reply(failure(error.what()));
    }
}

} // namespace lab
