#include "storage/cloud_store.hpp"

#include <algorithm>

#include "storage/rules.hpp"
#include "util/text.hpp"

namespace dbbackup::storage {

using util::cat;
using util::Error;
using util::ErrorCode;

bool CloudService::put_in_parts(CloudStore&, const std::string&, const Upload&,
                                const std::stop_token&) {
  return false;
}

bool CloudService::renew(const http::Response&, const std::stop_token&) { return false; }

CloudStore::CloudStore(std::unique_ptr<CloudService> service, http::ClientOptions client,
                       http::RetryPolicy policy)
    : service_(std::move(service)), client_(std::move(client)), policy_(policy) {}

http::Settled CloudStore::send(const std::function<http::Request()>& make,
                               const std::stop_token& stop) {
  http::Settled settled = http::send(client_, policy_, make, stop);
  if (settled.response.ok() || !service_->renew(settled.response, stop)) return settled;
  http::Settled again = http::send(client_, policy_, make, stop);
  again.attempts += settled.attempts;
  return again;
}

Error CloudStore::error_of(const std::string& what, const http::Response& refusal) const {
  return service_->refusal(refusal).with_context(what);
}

http::Response CloudStore::require(const std::string& what,
                                   const std::function<http::Request()>& make,
                                   const std::stop_token& stop) {
  http::Settled settled = send(make, stop);
  if (!settled.response.ok()) throw error_of(what, settled.response);
  return std::move(settled.response);
}

void CloudStore::put(const std::string& key, util::ByteView content, std::stop_token stop) {
  check_key(key);
  check_stop(stop, key);
  const std::string name = name_of(key);
  const Upload upload{key, content, false, service_->hash_of(content)};
  if (service_->put_in_parts(*this, name, upload, stop)) return;
  require(
      cat("cannot store ", key, " in ", describe()), [&] { return service_->put(name, upload); },
      stop);
}

bool CloudStore::put_new(const std::string& key, util::ByteView content, std::stop_token stop) {
  check_key(key);
  check_stop(stop, key);
  const std::string name = name_of(key);
  const Upload upload{key, content, true, service_->hash_of(content)};
  const auto make = [&] {
    http::Request request = service_->put(name, upload);
    request.fresh_connection = true;  // so that every attempt is counted
    return request;
  };
  const http::Settled settled = send(make, stop);
  if (settled.response.ok()) return true;
  if (service_->says_exists(settled.response)) {
    return settled.attempts > 1 && is_ours(key, content, stop);
  }
  throw error_of(cat("cannot create ", key, " in ", describe()), settled.response);
}

bool CloudStore::is_ours(const std::string& key, util::ByteView content,
                         const std::stop_token& stop) {
  const util::Bytes there = get(key, std::nullopt, stop);
  return std::equal(there.begin(), there.end(), content.begin(), content.end());
}

util::Bytes CloudStore::get(const std::string& key, std::optional<Range> range,
                            std::stop_token stop) {
  check_key(key);
  check_stop(stop, key);
  const std::string what = cat("cannot read ", key, " from ", describe());
  if (range && range->length == 0) {  // no service has a form for it
    const std::optional<ObjectInfo> info = stat(key, stop);
    if (!info) throw absent_object(key, describe());
    resolve_range(range, info->size, key, describe());
    return {};
  }
  util::Bytes content;
  http::repeat(policy_, stop, [&] {
    http::Response response =
        send([&] { return service_->get(name_of(key), range); }, stop).response;
    if (response.status == 416) throw short_object(key, describe(), 0);
    if (!response.ok()) {
      Error error = error_of(what, response);
      throw error.code() == ErrorCode::not_found && response.status == 404 && error.hint().empty()
          ? absent_object(key, describe())
          : error;
    }
    if (range && response.status == 200) {  // a server may send everything
      const Range part = resolve_range(range, response.body.size(), key, describe());
      const util::ByteView view = util::ByteView(response.body).subspan(part.offset, part.length);
      content.assign(view.begin(), view.end());
      return;
    }
    if (range && response.body.size() != range->length) {
      throw short_object(key, describe(), range->offset + response.body.size());
    }
    if (!range && !service_->is_intact(response)) {
      throw Error(ErrorCode::unavailable, cat(what, ": the content was damaged on its way"));
    }
    content = std::move(response.body);
  });
  return content;
}

std::optional<ObjectInfo> CloudStore::stat(const std::string& key, std::stop_token stop) {
  check_key(key);
  check_stop(stop, key);
  const http::Response response = send([&] { return service_->head(name_of(key)); }, stop).response;
  if (response.status == 404) return std::nullopt;
  if (!response.ok()) throw error_of(cat("cannot look at ", key, " in ", describe()), response);
  ObjectInfo info = service_->read_info(response);
  info.key = key;
  return info;
}

void CloudStore::list(const std::string& prefix, const std::function<void(const ObjectInfo&)>& each,
                      std::stop_token stop) {
  check_prefix(prefix);
  std::string token;
  do {
    check_stop(stop, prefix);
    const ListPage page = service_->read_page(require(
        cat("cannot list ", describe()), [&] { return service_->list(name_of(prefix), token); },
        stop));
    for (const ObjectInfo& object : page.objects) {
      ObjectInfo info = object;
      if (!info.key.starts_with(service_->prefix())) continue;
      info.key.erase(0, service_->prefix().size());
      // Objects of others, or folder marks that a console made, are none of ours.
      const std::vector<std::string> segments = util::split(info.key, '/');
      if (!std::all_of(segments.begin(), segments.end(), is_key_segment)) continue;
      each(info);
    }
    token = page.next;
  } while (!token.empty());
}

void CloudStore::remove(const std::string& key, std::stop_token stop) {
  check_key(key);
  check_stop(stop, key);
  const http::Response response =
      send([&] { return service_->remove(name_of(key)); }, stop).response;
  if (response.ok()) return;
  const Error error = error_of(cat("cannot remove ", key, " from ", describe()), response);
  if (error.code() != ErrorCode::not_found) throw error;
}

ErrorCode code_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::permission_denied;
    case 404:
      return ErrorCode::not_found;
    case 409:
    case 412:
      return ErrorCode::conflict;
    case 507:
      return ErrorCode::no_space;
    default:
      return http::is_passing(status) || status >= 500 ? ErrorCode::unavailable
                                                       : ErrorCode::config_invalid;
  }
}

std::string clock_difference(const http::Response& response, util::TimePoint now) {
  const auto date = response.date();
  if (!date) return "";
  const bool ahead = now > *date;
  const auto apart = std::chrono::floor<util::Seconds>(ahead ? now - *date : *date - now);
  if (apart < std::chrono::minutes(1)) return "";
  return cat("this machine's clock is ", util::format_duration(apart),
             ahead ? " ahead of" : " behind", " the server's");
}

}  // namespace dbbackup::storage
