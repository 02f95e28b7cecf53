// How much room text takes on a terminal, and how it is made harmless and cut to fit.
//
// Names come from databases and from other people's configuration: they may hold escapes that
// repaint the screen, or letters that are two columns wide or none.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dbbackup::ctl {

// Like util::printable, and also shows the C1 controls, the marks that turn the direction of
// writing, and bytes that are no UTF-8 as \xNN.
std::string safe_text(std::string_view text);

// Units: terminal columns. Requires: text passed safe_text().
// Source: Unicode Standard Annex 11 (wide and fullwidth), general categories Mn and Me (no width of
// their own).
std::size_t display_width(std::string_view text);

// Cut to at most `width` columns, ending in "..." where something was cut off.
std::string fit(std::string_view text, std::size_t width);

}  // namespace dbbackup::ctl
