// Small text helpers that several rooms need: joining, splitting, globbing, suggesting.
//
// Threads: pure functions.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::util {

// One piece of a concatenation: text, or an integer shown in decimal.
class Piece {
 public:
  Piece(std::string_view text) : text_(text) {}    // NOLINT(google-explicit-constructor)
  Piece(const std::string& text) : text_(text) {}  // NOLINT(google-explicit-constructor)
  Piece(const char* text) : text_(text) {}         // NOLINT(google-explicit-constructor)
  template <std::integral T>
  Piece(T value) : owned_(std::to_string(value)) {}  // NOLINT(google-explicit-constructor)
  std::string_view view() const { return owned_.empty() ? text_ : std::string_view(owned_); }

 private:
  std::string_view text_;
  std::string owned_;
};

// cat("table ", name, " has ", 3, " rows")
std::string cat_pieces(std::span<const Piece> pieces);
template <typename... Parts>
std::string cat(const Parts&... parts) {
  const Piece pieces[] = {Piece(parts)...};
  return cat_pieces(pieces);
}

std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string to_lower(std::string_view text);  // ASCII only

// A whole decimal integer, nothing around it; empty when it is not one or does not fit.
std::optional<std::int64_t> parse_int(std::string_view text);
// Sizes as people write them: "64KiB", "10MB", "1GiB", "512" (bytes).
std::optional<std::uint64_t> parse_size(std::string_view text);
// "1.2 GiB"; for people only.
std::string format_size(std::uint64_t bytes);

// Shell-like match of a whole name: `*` any run, `?` one character, `[a-z]` a class, `\` quotes the
// next character.
bool glob_match(std::string_view pattern, std::string_view name);

// The candidate nearest to `word` by edit distance, when near enough to be a likely typing error.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

// True for valid UTF-8 without NUL (Source: RFC 3629).
bool is_valid_utf8(std::string_view text);

// Replaces control characters (also newlines and terminal escapes) by \xNN, so that a name cannot
// forge output.
std::string printable(std::string_view text);

}  // namespace dbbackup::util
