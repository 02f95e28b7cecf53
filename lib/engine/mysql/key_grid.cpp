#include "engine/mysql/key_grid.hpp"

#include <algorithm>

#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
// More ranges would cost more statements than they bring.
constexpr std::size_t kMostRanges = 4096;

Key floor_to(Key key, Key width) {
  const Key rest = key % width;
  return rest < 0 ? key - rest - width : key - rest;
}
}  // namespace

std::string key_text(Key key) {
  if (key == 0) return "0";
  const bool negative = key < 0;
  std::string digits;
  while (key != 0) {
    const int digit = static_cast<int>(key % 10);
    digits += static_cast<char>('0' + (digit < 0 ? -digit : digit));
    key /= 10;
  }
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::optional<Key> parse_key(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 20) return std::nullopt;
  Key key = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    key = key * 10 + (c - '0');
  }
  return negative ? -key : key;
}

std::string KeyRange::condition(const std::string& quoted_column) const {
  std::string sql;
  if (first) sql = util::cat(quoted_column, " >= ", key_text(*first));
  if (first && end) sql += " AND ";
  if (end) sql += util::cat(quoted_column, " < ", key_text(*end));
  return sql;
}

std::string KeyRange::name() const { return first ? key_text(*first) : "low"; }

std::vector<KeyRange> plan_ranges(Key lowest, Key highest, std::uint64_t target_bytes,
                                  const std::function<std::uint64_t(const KeyRange&)>& estimate) {
  struct Cell {
    Key first;
    Key width;
  };
  // The smallest cells that hold everything: one, or two beside each other around a border that no
  // larger cell crosses (zero is one).
  Key width = 1;
  while (floor_to(highest, width) - floor_to(lowest, width) > width) width *= 2;
  std::vector<Cell> open;  // a stack: the leftmost cell on top
  for (Key first = floor_to(highest, width); first >= floor_to(lowest, width); first -= width) {
    open.push_back({first, width});
  }
  std::vector<Cell> cells;
  while (!open.empty()) {
    const Cell cell = open.back();
    open.pop_back();
    const bool room = cells.size() + open.size() < kMostRanges;
    if (cell.width > 1 && room && estimate({cell.first, cell.first + cell.width}) > target_bytes) {
      const Key half = cell.width / 2;
      open.push_back({cell.first + half, half});
      open.push_back({cell.first, half});
      continue;
    }
    // Cells outside the keys belong to the outermost ranges.
    const bool outside = cell.first + cell.width <= lowest || cell.first > highest;
    if (!outside) cells.push_back(cell);
  }
  std::vector<KeyRange> ranges;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    KeyRange range;
    if (i > 0) range.first = cells[i].first;
    if (i + 1 < cells.size()) range.end = cells[i + 1].first;
    ranges.push_back(range);
  }
  if (ranges.empty()) ranges.emplace_back();
  return ranges;
}

}  // namespace dbbackup::engine::mysql
