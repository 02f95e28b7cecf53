// What all stores have in common: which keys exist, and how the usual failures are worded. For the
// stores only.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "storage/object_store.hpp"
#include "util/error.hpp"

namespace dbbackup::storage {

// One part of a key between slashes: [a-z0-9._-], not beginning with a dot.
bool is_key_segment(std::string_view text);

// Errors: internal, when no key can begin with `prefix`.
void check_prefix(const std::string& prefix);

// Errors: cancelled, naming the key, when a stop was requested.
void check_stop(const std::stop_token& stop, std::string_view key);

// The part of an object of `size` bytes that a get() is to return; all of it for an empty range.
// Errors: io, when the object ends before the range does.
Range resolve_range(const std::optional<Range>& range, std::uint64_t size, const std::string& key,
                    const std::string& store);

util::Error absent_object(const std::string& key, const std::string& store);
util::Error short_object(const std::string& key, const std::string& store, std::uint64_t size);

}  // namespace dbbackup::storage
