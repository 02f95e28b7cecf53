// Lines of the control socket and what they mean: JSON-RPC 2.0 without notifications from the
// client and without batches.
//
// Pure, so that the fuzzer and the tests reach everything a hostile line can reach without a
// socket.
//
// Threads: pure functions. Source: www.jsonrpc.org/specification.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "control/command.hpp"
#include "util/error.hpp"
#include "util/json.hpp"

namespace dbbackup::control {

// Codes that the specification reserves for what is wrong before a method is known (section 5.1).
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;

// A request whose envelope is in order. Its parameters are not checked yet: access comes first.
struct Request {
  util::json::Value id;  // a string or a whole number
  const Command* command = nullptr;
  util::json::Object params;
};

// A line that is no request, and the answer to it.
struct Refusal {
  util::json::Value id;  // null where it could not be told
  int wire_code = kInvalidRequest;
  util::Error error;
};

std::variant<Request, Refusal> parse_request(std::string_view line);

// Lines to send, each with its newline. Bytes that are not UTF-8 (a file's name in a message)
// become U+FFFD, because they would make the whole line unreadable.
std::string result_line(const util::json::Value& id, const util::json::Value& result);
std::string error_line(const util::json::Value& id, const util::Error& error);
std::string refusal_line(const Refusal& refusal);
std::string notification_line(std::string_view method, const util::json::Object& params);
std::string request_line(std::int64_t id, std::string_view method,
                         const util::json::Object& params);

// The Error that an error object of a reply stands for.
util::Error error_from_wire(const util::json::Object& error);

// What of `params` may be written down: known parameters without secrets, options without values
// that look like credentials, URLs without a password.
util::json::Object without_secrets(const Command& command, const util::json::Object& params);

}  // namespace dbbackup::control
