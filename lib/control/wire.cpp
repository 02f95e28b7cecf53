#include "control/wire.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "util/text.hpp"

namespace dbbackup::control {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

// At `text`'s start: the bytes of one UTF-8 character, 0 when there is none.
std::size_t character_length(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    if (util::is_valid_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

std::string as_utf8(std::string text) {
  if (util::is_valid_utf8(text)) return text;
  std::string repaired;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = character_length(rest);
    repaired += length == 0 ? std::string_view("\xEF\xBF\xBD") : rest.substr(0, length);
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return repaired;
}

std::string to_line(json::Object message) {
  return as_utf8(json::write(json::Value(std::move(message)))) + "\n";
}

std::string error_line(const json::Value& id, const Error& error, int wire_code) {
  json::Object data{{"code", util::traits(error.code()).name}};
  if (!error.hint().empty()) data["hint"] = error.hint();
  return to_line({{"jsonrpc", "2.0"},
                  {"id", id},
                  {"error", json::Object{{"code", wire_code},
                                         {"message", error.message()},
                                         {"data", std::move(data)}}}});
}

bool is_id(const json::Value& id) { return id.is_string() || id.is_int64() || id.is_uint64(); }

Refusal invalid(json::Value id, std::string message, std::string hint = {}) {
  return {std::move(id), kInvalidRequest,
          Error(ErrorCode::usage, "not a request: " + message, std::move(hint))};
}

std::variant<Request, Refusal> parse_envelope(json::Object& envelope) {
  const json::Value* id = json::find(envelope, "id");
  if (id == nullptr) {
    return invalid(nullptr, "it has no id", "requests without an answer are not served");
  }
  if (!is_id(*id)) return invalid(nullptr, "its id is neither a string nor a whole number");
  if (json::get_string(envelope, "jsonrpc") != "2.0") {
    return invalid(*id, "its member jsonrpc is not \"2.0\"");
  }
  const auto method = json::get_string(envelope, "method");
  if (!method) return invalid(*id, "it has no method");

  const Command* command = find_command(*method);
  if (command == nullptr) {
    const auto nearest = nearest_command(*method);
    constexpr std::size_t kShown = 64;
    return Refusal{
        *id, kMethodNotFound,
        Error(ErrorCode::usage,
              cat("there is no method '", util::printable(method->substr(0, kShown)), "'"),
              nearest ? cat("did you mean '", *nearest, "'?") : "")};
  }
  Request request{*id, command, {}};
  if (json::Value* params = envelope.if_contains("params")) {
    if (!params->is_object()) {
      return Refusal{*id, util::traits(ErrorCode::usage).wire_code,
                     Error(ErrorCode::usage, cat(*method, ": params is not an object"),
                           "parameters are given by name")};
    }
    request.params = std::move(params->get_object());
  }
  return request;
}

// Names of options whose values are credentials: secret_key, account_key, sas_token, ...
bool names_a_secret(std::string_view option) {
  static constexpr std::array<std::string_view, 6> kEndings = {"key",      "token",      "secret",
                                                               "password", "passphrase", "pwd"};
  const std::string name = util::to_lower(option);
  return std::ranges::any_of(kEndings, [&](auto ending) { return name.ends_with(ending); });
}

// ?sslpassword=word&x=y becomes ?sslpassword=***&x=y.
std::string without_secret_parameters(std::string url) {
  std::size_t at = url.find('?');
  while (at != std::string::npos) {
    const std::size_t begin = at + 1;
    const std::size_t end = std::min(url.find('&', begin), url.size());
    const std::size_t equals = url.find('=', begin);
    at = end == url.size() ? std::string::npos : end;
    if (equals >= end) continue;
    if (!names_a_secret(std::string_view(url).substr(begin, equals - begin))) continue;
    url.replace(equals + 1, end - equals - 1, "***");
    at = url.find('&', equals);
  }
  return url;
}

// scheme://user:password@host becomes scheme://user@host.
std::string without_password(std::string_view url) {
  const std::size_t authority = url.find("://");
  if (authority == std::string_view::npos) return std::string(url);
  const std::size_t begin = authority + 3;
  const std::size_t end = std::min(url.find('/', begin), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  const std::size_t colon = url.find(':', begin);
  if (at == std::string_view::npos || at < begin || colon >= at) return std::string(url);
  return cat(url.substr(0, colon), url.substr(at));
}

}  // namespace

// An access key is the name that goes with a secret key.
bool is_secret_option(std::string_view option) {
  return names_a_secret(option) && option != "access_key";
}

std::variant<Request, Refusal> parse_request(std::string_view line) {
  json::Value value;
  try {
    value = json::parse(line);
  } catch (const Error& error) {
    return Refusal{nullptr, kParseError, error};
  }
  if (value.is_array()) {
    return invalid(nullptr, "it is a batch", "send one request object per line");
  }
  if (!value.is_object()) return invalid(nullptr, "it is not an object");
  return parse_envelope(value.get_object());
}

std::string result_line(const json::Value& id, const json::Value& result) {
  return to_line({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string error_line(const json::Value& id, const Error& error) {
  return error_line(id, error, util::traits(error.code()).wire_code);
}

std::string refusal_line(const Refusal& refusal) {
  return error_line(refusal.id, refusal.error, refusal.wire_code);
}

std::string notification_line(std::string_view method, const json::Object& params) {
  return to_line({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

std::string request_line(std::int64_t id, std::string_view method, const json::Object& params) {
  return to_line({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

Error error_from_wire(const json::Object& error) {
  const json::Object* data = json::get_object(error, "data");
  const std::string name = data ? json::get_string(*data, "code").value_or("") : "";
  return {util::error_code_from_name(name).value_or(ErrorCode::internal),
          json::get_string(error, "message").value_or("the daemon gave no reason"),
          data ? json::get_string(*data, "hint").value_or("") : ""};
}

json::Object without_secrets(const Command& command, const json::Object& params) {
  json::Object kept;
  for (const Parameter& parameter : command.parameters) {
    const json::Value* value = json::find(params, parameter.name);
    if (value == nullptr || parameter.type == ParameterType::secret) continue;
    if (value->is_string()) {
      kept[parameter.name] = without_secret_parameters(without_password(value->get_string()));
    } else if (parameter.type == ParameterType::options && value->is_object()) {
      json::Object options = value->get_object();
      for (auto& option : options) {
        if (names_a_secret(option.key())) option.value() = "(secret)";
      }
      kept[parameter.name] = std::move(options);
    } else {
      kept[parameter.name] = *value;
    }
  }
  return kept;
}

}  // namespace dbbackup::control
