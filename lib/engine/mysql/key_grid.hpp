// How a big table is cut into ranges of its integer key.
//
// Ranges are cells of a fixed grid: halves of halves of the whole number line, each beginning at a
// multiple of its own power-of-two width. Where the rows are dense the cells are small, where there
// are none they are large; a cell is cut while the server thinks it holds more than the target. The
// borders thus never depend on the smallest or largest key, and tomorrow's backup of unchanged
// rows cuts at the same places. A range is half-open (first <= key < end), both sides use the same
// number, and the outermost ranges have no outer bound: no key can fall between two of them.
//
// Threads: pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace dbbackup::engine::mysql {

// 65 bits: BIGINT and BIGINT UNSIGNED both fit.
__extension__ typedef __int128 Key;

struct KeyRange {
  std::optional<Key> first;  // inclusive; empty: no lower bound
  std::optional<Key> end;    // exclusive; empty: no upper bound

  // "`id` >= 1024 AND `id` < 2048"; empty for the whole line.
  std::string condition(const std::string& quoted_column) const;
  // Stable name of the range within its table: its first key, "low" where there is none.
  std::string name() const;
};

std::string key_text(Key key);
std::optional<Key> parse_key(std::string_view text);

// `estimate` says how many bytes a range may hold; `lowest` and `highest` are the keys there are.
// At least one range, in order, without gaps.
std::vector<KeyRange> plan_ranges(Key lowest, Key highest, std::uint64_t target_bytes,
                                  const std::function<std::uint64_t(const KeyRange&)>& estimate);

}  // namespace dbbackup::engine::mysql
