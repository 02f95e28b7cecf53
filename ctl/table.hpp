// A table for people: columns as wide as their content, cut where the terminal is narrower than
// that.
//
// Cells are made harmless (safe_text) when they are rendered, so that nothing a database contains
// reaches the terminal as an escape.
//
// Threads: a value.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dbbackup::ctl {

enum class Style { plain, bold, dim, good, warning, bad };

// `text` between the escapes of its style; unchanged without colour. Requires: text passed
// safe_text().
std::string styled(std::string_view text, Style style, bool colour);
// What a state of a run, job, schedule or proof looks like ("failed" is bad).
Style state_style(std::string_view state);

struct Cell {
  Cell(std::string content, Style look = Style::plain)  // NOLINT(google-explicit-constructor)
      : text(std::move(content)), style(look) {}
  Cell(const char* content) : text(content) {}  // NOLINT(google-explicit-constructor)

  std::string text;
  Style style = Style::plain;
};

Cell state_cell(std::string state);

struct Column {
  std::string header;
  enum class Align { left, right } align = Align::left;
  bool whole = false;  // never cut: half an id names nothing
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Requires: as many cells as columns.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // Lines ending in newlines, header first. `width` 0 means as wide as needed.
  std::string render(std::size_t width, bool colour) const;

 private:
  std::vector<std::size_t> column_widths(std::size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace dbbackup::ctl
