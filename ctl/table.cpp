#include "ctl/table.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "ctl/text_width.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace {

constexpr std::size_t kGap = 2;
// A column is never cut below this; a table that still does not fit is left to wrap.
constexpr std::size_t kNarrowest = 8;

std::string padded(const std::string& text, std::size_t width, Column::Align align) {
  const std::size_t used = display_width(text);
  const std::string pad(width > used ? width - used : 0, ' ');
  return align == Column::Align::right ? pad + text : text + pad;
}

}  // namespace

std::string styled(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::plain) return std::string(text);
  // Source: ECMA-48 section 8.3.117 (SGR); indexed by Style.
  constexpr std::array<std::string_view, 6> kCodes{"0", "1", "2", "32", "33", "31"};
  return util::cat("\x1b[", kCodes[static_cast<std::size_t>(style)], "m", text, "\x1b[0m");
}

Style state_style(std::string_view state) {
  constexpr std::array<std::string_view, 7> kGood{"succeeded", "ok",     "proved", "checked",
                                                  "active",    "sealed", "ready"};
  constexpr std::array<std::string_view, 5> kBad{"failed", "interrupted", "critical", "unreachable",
                                                 "damaged"};
  constexpr std::array<std::string_view, 6> kWarning{"partial", "cancelled", "skipped",
                                                     "paused",  "warning",   "late"};
  const auto has = [&](const auto& list) {
    return std::find(list.begin(), list.end(), state) != list.end();
  };
  if (has(kGood)) return Style::good;
  if (has(kBad)) return Style::bad;
  return has(kWarning) ? Style::warning : Style::plain;
}

Cell state_cell(std::string state) {
  const Style style = state_style(state);
  return {std::move(state), style};
}

void Table::add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = safe_text(cell.text);
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::column_widths(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t widest = display_width(columns_[i].header);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[i].text));
    widths.push_back(widest);
  }
  if (width == 0) return widths;
  // The widest column gives first: short ones (states, counts, ages) stay whole as long as
  // possible.
  std::size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  for (; total > width; --total) {
    std::size_t* widest = nullptr;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const bool may_give = !columns_[i].whole && widths[i] > kNarrowest;
      if (may_give && (widest == nullptr || widths[i] > *widest)) widest = &widths[i];
    }
    if (widest == nullptr) break;
    --*widest;
  }
  return widths;
}

std::string Table::render(std::size_t width, bool colour) const {
  const std::vector<std::size_t> widths = column_widths(width);
  std::string text;
  const auto put = [&](std::size_t i, const std::string& content, Style style) {
    const bool last = i + 1 == columns_.size();
    const Column::Align align = columns_[i].align;
    const std::string shown = fit(content, widths[i]);
    const bool pad = !last || align == Column::Align::right;
    text += styled(pad ? padded(shown, widths[i], align) : shown, style, colour);
    text += last ? "\n" : std::string(kGap, ' ');
  };
  for (std::size_t i = 0; i < columns_.size(); ++i) put(i, columns_[i].header, Style::bold);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < columns_.size(); ++i) put(i, row[i].text, row[i].style);
  }
  return text;
}

}  // namespace dbbackup::ctl
