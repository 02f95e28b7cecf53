#include "job/request.hpp"

#include "util/json.hpp"

namespace dbbackup::job {

namespace json = util::json;

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
  request.windows = json::get_strings(object, "windows");
  request.timezone = json::get_string(object, "timezone").value_or("");
  request.passphrase_lost = json::get_bool(object, "passphrase_given").value_or(false);
  return request;
}

}  // namespace dbbackup::job
