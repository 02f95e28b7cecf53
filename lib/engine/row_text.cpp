#include "engine/row_text.hpp"

namespace dbbackup::engine {

namespace {
char unescaped(char c) {
  switch (c) {
    case '0':
      return '\0';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case 'Z':
      return '\x1a';
    default:
      return c;
  }
}

char escape_letter(char c) {
  switch (c) {
    case '\\':
      return '\\';
    case '\t':
      return 't';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\0':
      return '0';
    default:
      return 0;
  }
}

void set_field(std::string_view raw, std::optional<std::string>& field) {
  if (raw == "\\N") {
    field.reset();
    return;
  }
  if (!field) field.emplace();
  field->clear();
  while (!raw.empty()) {
    const std::size_t backslash = raw.find('\\');
    field->append(raw.substr(0, backslash));
    if (backslash == std::string_view::npos || backslash + 1 == raw.size()) break;
    field->push_back(unescaped(raw[backslash + 1]));
    raw.remove_prefix(backslash + 2);
  }
}
}  // namespace

void append_row_field(std::optional<std::string_view> field, std::string& line) {
  if (!field) {
    line += "\\N";
    return;
  }
  std::size_t done = 0;
  for (std::size_t i = 0; i < field->size(); ++i) {
    const char letter = escape_letter((*field)[i]);
    if (letter == 0) continue;
    line.append(field->substr(done, i - done));
    line.push_back('\\');
    line.push_back(letter);
    done = i + 1;
  }
  line.append(field->substr(done));
}

void split_row(std::string_view line, std::vector<std::optional<std::string>>& fields) {
  std::size_t count = 0;
  while (true) {
    const std::size_t tab = line.find('\t');
    if (count == fields.size()) fields.emplace_back();
    set_field(line.substr(0, tab), fields[count++]);
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  fields.resize(count);
}

}  // namespace dbbackup::engine
