#include "storage/rules.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::storage {

using util::Error;
using util::ErrorCode;

bool is_key_segment(std::string_view text) {
  return !text.empty() && text.front() != '.' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

void check_key(const std::string& key) {
  const std::vector<std::string> segments = util::split(key, '/');
  if (segments.empty() || !std::all_of(segments.begin(), segments.end(), is_key_segment)) {
    throw Error(ErrorCode::internal, util::cat("not an object key: '", util::printable(key), "'"));
  }
}

void check_prefix(const std::string& prefix) { check_key(prefix + "0"); }

void check_stop(const std::stop_token& stop, std::string_view key) {
  if (stop.stop_requested()) {
    throw Error(ErrorCode::cancelled, util::cat("access to object ", key, " was cancelled"));
  }
}

Range resolve_range(const std::optional<Range>& range, std::uint64_t size, const std::string& key,
                    const std::string& store) {
  if (!range) return {0, size};
  if (range->offset > size || range->length > size - range->offset) {
    throw short_object(key, store, size);
  }
  return *range;
}

Error absent_object(const std::string& key, const std::string& store) {
  return {ErrorCode::not_found, util::cat("no object ", key, " in ", store)};
}

Error short_object(const std::string& key, const std::string& store, std::uint64_t size) {
  return {ErrorCode::io,
          util::cat("object ", key, " in ", store, " is shorter than promised: ", size, " bytes")};
}

}  // namespace dbbackup::storage
