#include "config/diagnostic.hpp"

#include <vector>

#include "util/text.hpp"

namespace dbbackup::config {

using util::cat;

namespace {

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

// Blanks as wide as the characters before `column`; a tab stays a tab, so that the caret lines up
// on any terminal.
std::string padding(std::string_view line, int column) {
  std::string blanks;
  int at = 1;
  for (const char byte : line) {
    if (continues_character(byte)) continue;
    if (at++ >= column) break;
    blanks.push_back(byte == '\t' ? '\t' : ' ');
  }
  return blanks;
}

// The line as it is, except for control characters, which could drive the reader's terminal.
std::string shown(std::string_view line) {
  std::string text(line);
  for (char& byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if ((value < 0x20 && byte != '\t') || value == 0x7f) byte = '?';
  }
  return text;
}

}  // namespace

std::string one_line(const Diagnostic& diagnostic) {
  const std::string source = util::printable(diagnostic.source);
  if (diagnostic.line == 0) return cat(source, ": ", diagnostic.message);
  return cat(source, ":", diagnostic.line, ":", diagnostic.column, ": ", diagnostic.message);
}

std::string render(const Diagnostic& diagnostic, std::string_view text) {
  std::string out = cat(one_line(diagnostic), "\n");
  const std::vector<std::string> lines = util::split(text, '\n');
  if (diagnostic.line > 0 && static_cast<std::size_t>(diagnostic.line) <= lines.size()) {
    std::string_view line = lines[static_cast<std::size_t>(diagnostic.line) - 1];
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string number = std::to_string(diagnostic.line);
    const std::string margin(number.size(), ' ');
    out += cat("  ", number, " | ", shown(line), "\n");
    out += cat("  ", margin, " | ", padding(line, diagnostic.column), "^\n");
  }
  if (!diagnostic.hint.empty()) out += cat("hint: ", diagnostic.hint, "\n");
  return out;
}

util::Error to_error(std::span<const Diagnostic> diagnostics) {
  const Diagnostic& first = diagnostics.front();
  std::string message = one_line(first);
  if (diagnostics.size() > 1) message += cat(" (and ", diagnostics.size() - 1, " more)");
  return {util::ErrorCode::config_invalid, std::move(message), first.hint};
}

}  // namespace dbbackup::config
