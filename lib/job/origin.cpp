#include "job/origin.hpp"

#include "util/time.hpp"

namespace dbbackup::job {

namespace json = util::json;

namespace {
// Pairs, because the order is the user's and a key may come twice.
json::Array encode(const catalog::Options& options) {
  json::Array pairs;
  for (const auto& [name, value] : options) {
    pairs.emplace_back(json::Array{json::Value(name), json::Value(value)});
  }
  return pairs;
}

catalog::Options options_in(const json::Object& object, std::string_view key) {
  catalog::Options options;
  const json::Array* pairs = json::get_array(object, key);
  if (pairs == nullptr) return options;
  for (const json::Value& value : *pairs) {
    const json::Array* pair = value.if_array();
    if (pair == nullptr || pair->size() != 2) continue;
    if (!(*pair)[0].is_string() || !(*pair)[1].is_string()) continue;
    options.emplace_back((*pair)[0].get_string(), (*pair)[1].get_string());
  }
  return options;
}

json::Value encode(const std::optional<util::Milliseconds>& duration) {
  return duration ? json::Value(util::format_duration(*duration)) : json::Value(nullptr);
}

std::optional<util::Milliseconds> duration_in(const json::Object& object, std::string_view key) {
  const auto text = json::get_string(object, key);
  return text ? util::parse_duration(*text) : std::nullopt;
}

json::Object encode(const catalog::Job& job) {
  return {{"type", job.type},
          {"include", json::from_strings(job.include)},
          {"exclude", json::from_strings(job.exclude)},
          {"where", encode(job.where)},
          {"parallel", job.parallel},
          {"keep", json::Object{{"last", job.keep.last},
                                {"hourly", job.keep.hourly},
                                {"daily", job.keep.daily},
                                {"weekly", job.keep.weekly},
                                {"monthly", job.keep.monthly},
                                {"yearly", job.keep.yearly},
                                {"within", encode(job.keep.within)}}},
          {"timezone", job.timezone},
          {"max_row_drop", job.max_row_drop},
          {"max_age", encode(job.max_age)},
          {"retries", job.retries},
          {"retry_delay", encode(job.retry_delay)},
          {"retry_max_delay", encode(job.retry_max_delay)},
          {"timeout", encode(job.timeout)},
          {"stall_timeout", encode(job.stall_timeout)},
          {"hook_timeout", encode(job.hook_timeout)},
          {"pre_hook", job.pre_hook},
          {"post_hook", job.post_hook},
          {"options", encode(job.options)}};
}
}  // namespace

json::Object origin_of(const catalog::Database& database, const std::optional<catalog::Job>& job) {
  json::Object origin{
      {"database", json::Object{{"url", database.url}, {"options", encode(database.options)}}}};
  if (job) origin["job"] = encode(*job);
  return origin;
}

std::optional<catalog::Database> database_from(const json::Object& origin) {
  const json::Object* object = json::get_object(origin, "database");
  const auto url = object == nullptr ? std::nullopt : json::get_string(*object, "url");
  if (!url) return std::nullopt;
  catalog::Database database;
  database.url = *url;
  database.options = options_in(*object, "options");
  return database;
}

std::optional<catalog::Job> job_from(const json::Object& origin) {
  const json::Object* object = json::get_object(origin, "job");
  if (object == nullptr) return std::nullopt;
  catalog::Job job;
  job.type = json::get_string(*object, "type").value_or(job.type);
  job.include = json::get_strings(*object, "include");
  job.exclude = json::get_strings(*object, "exclude");
  job.where = options_in(*object, "where");
  job.parallel = json::get_int(*object, "parallel").value_or(job.parallel);
  if (const json::Object* keep = json::get_object(*object, "keep")) {
    job.keep.last = json::get_int(*keep, "last").value_or(0);
    job.keep.hourly = json::get_int(*keep, "hourly").value_or(0);
    job.keep.daily = json::get_int(*keep, "daily").value_or(0);
    job.keep.weekly = json::get_int(*keep, "weekly").value_or(0);
    job.keep.monthly = json::get_int(*keep, "monthly").value_or(0);
    job.keep.yearly = json::get_int(*keep, "yearly").value_or(0);
    job.keep.within = duration_in(*keep, "within");
  }
  job.timezone = json::get_string(*object, "timezone").value_or("");
  job.max_row_drop = json::get_int(*object, "max_row_drop").value_or(job.max_row_drop);
  job.max_age = duration_in(*object, "max_age");
  job.retries = json::get_int(*object, "retries").value_or(job.retries);
  job.retry_delay = duration_in(*object, "retry_delay");
  job.retry_max_delay = duration_in(*object, "retry_max_delay");
  job.timeout = duration_in(*object, "timeout");
  job.stall_timeout = duration_in(*object, "stall_timeout");
  job.hook_timeout = duration_in(*object, "hook_timeout");
  job.pre_hook = json::get_string(*object, "pre_hook").value_or("");
  job.post_hook = json::get_string(*object, "post_hook").value_or("");
  job.options = options_in(*object, "options");
  return job;
}

}  // namespace dbbackup::job
