#include "job/request.hpp"

#include "util/json.hpp"

namespace dbbackup::job {

namespace json = util::json;

namespace {
json::Value encode_duration(const std::optional<util::Milliseconds>& duration) {
  return duration ? json::Value(duration->count()) : json::Value(nullptr);
}

std::optional<util::Milliseconds> decode_duration(const json::Object& object,
                                                  std::string_view key) {
  const auto ms = json::get_int(object, key);
  return ms ? std::optional(util::Milliseconds(*ms)) : std::nullopt;
}

json::Object encode_policy(const Policy& policy) {
  return {{"retries", policy.retries},
          {"retry_delay", policy.retry_delay.count()},
          {"retry_max_delay", policy.retry_max_delay.count()},
          {"timeout", encode_duration(policy.timeout)},
          {"stall_timeout", encode_duration(policy.stall_timeout)},
          {"hook_timeout", encode_duration(policy.hook_timeout)},
          {"pre_hook", policy.pre_hook},
          {"post_hook", policy.post_hook}};
}

Policy decode_policy(const json::Object& object) {
  Policy policy;
  policy.retries = json::get_int(object, "retries").value_or(policy.retries);
  policy.retry_delay = decode_duration(object, "retry_delay").value_or(policy.retry_delay);
  policy.retry_max_delay =
      decode_duration(object, "retry_max_delay").value_or(policy.retry_max_delay);
  policy.timeout = decode_duration(object, "timeout");
  policy.stall_timeout = decode_duration(object, "stall_timeout");
  policy.hook_timeout = decode_duration(object, "hook_timeout");
  policy.pre_hook = json::get_string(object, "pre_hook").value_or("");
  policy.post_hook = json::get_string(object, "post_hook").value_or("");
  return policy;
}
}  // namespace

Policy policy_of(const catalog::Job& job) {
  Policy policy;
  policy.retries = job.retries;
  policy.retry_delay = job.retry_delay.value_or(policy.retry_delay);
  policy.retry_max_delay = job.retry_max_delay.value_or(policy.retry_max_delay);
  policy.timeout = job.timeout;
  policy.stall_timeout = job.stall_timeout;
  policy.hook_timeout = job.hook_timeout;
  policy.pre_hook = job.pre_hook;
  policy.post_hook = job.post_hook;
  return policy;
}

std::string encode_request(const Request& request) {
  json::Object where;
  for (const auto& [table, condition] : request.scope.where) where[table] = condition;
  json::Object options;
  for (const auto& [name, value] : request.options) options[name] = value;
  return json::write(json::Object{{"include", json::from_strings(request.scope.include)},
                                  {"exclude", json::from_strings(request.scope.exclude)},
                                  {"where", std::move(where)},
                                  {"options", std::move(options)},
                                  {"parallel", request.scope.parallel},
                                  {"mode", request.mode},
                                  {"integrity_check", request.integrity_check},
                                  {"target", request.target},
                                  {"file", request.file},
                                  {"format", request.format},
                                  {"read_percent", request.read_percent},
                                  {"policy", encode_policy(request.policy)},
                                  {"windows", json::from_strings(request.windows)},
                                  {"timezone", request.timezone},
                                  {"passphrase_given", !request.passphrase.empty()}});
}

Request decode_request(const std::string& text) {
  Request request;
  const json::Value value = json::parse(text.empty() ? "{}" : text);
  const json::Object& object = value.as_object();
  request.scope.include = json::get_strings(object, "include");
  request.scope.exclude = json::get_strings(object, "exclude");
  if (const json::Object* options = json::get_object(object, "options")) {
    for (const auto& [name, setting] : *options) {
      request.options.emplace_back(name, std::string(setting.as_string()));
    }
  }
  if (const json::Object* where = json::get_object(object, "where")) {
    for (const auto& [table, condition] : *where) {
      request.scope.where.emplace_back(table, std::string(condition.as_string()));
    }
  }
  request.scope.parallel =
      static_cast<unsigned>(json::get_int(object, "parallel").value_or(request.scope.parallel));
  request.mode = json::get_string(object, "mode").value_or(request.mode);
  request.integrity_check = json::get_bool(object, "integrity_check").value_or(true);
  request.target = json::get_string(object, "target").value_or("");
  request.file = json::get_string(object, "file").value_or("");
  request.format = json::get_string(object, "format").value_or("");
  request.read_percent = json::get_int(object, "read_percent").value_or(0);
  if (const json::Object* policy = json::get_object(object, "policy")) {
    request.policy = decode_policy(*policy);
  }
  request.windows = json::get_strings(object, "windows");
  request.timezone = json::get_string(object, "timezone").value_or("");
  request.passphrase_lost = json::get_bool(object, "passphrase_given").value_or(false);
  return request;
}

}  // namespace dbbackup::job
