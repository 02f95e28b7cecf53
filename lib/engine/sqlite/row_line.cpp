#include "engine/sqlite/row_line.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::sqlite_engine {

namespace {
using sqlite::ValueType;

// Room for any integer or shortest real, with the ".0" that may be added.
constexpr std::size_t kNumberBytes = 40;

// Writes to memory that is known to be large enough; the string is cut to its length at the end of
// the row. Growing a std::string per field costs more than everything else here.
class LineWriter {
 public:
  explicit LineWriter(std::string& line) : line_(line) {}
  ~LineWriter() { line_.resize(used_); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  void put(char c) {
    reserve(1);
    line_[used_++] = c;
  }

  void null() {
    reserve(2);
    line_[used_++] = '\\';
    line_[used_++] = 'N';
  }

  void integer(std::int64_t value) {
    reserve(kNumberBytes);
    used_ = offset_of(std::to_chars(here(), end(), value).ptr);
  }

  void real(double value) {
    reserve(kNumberBytes);
    if (hundredths(value)) return;
    char* from = here();
    char* to = std::to_chars(from, end(), value).ptr;
    const std::string_view text(from, static_cast<std::size_t>(to - from));
    if (text.find_first_of(".en") == std::string_view::npos) {
      *to++ = '.';
      *to++ = '0';
    }
    used_ = offset_of(to);
  }

  void bytes(char mark, std::string_view content) {
    reserve(1 + 2 * content.size() + sizeof(std::uint64_t));
    char* to = here();
    *to++ = mark;
    const char* from = content.data();
    const char* last = from + content.size();
    // Eight bytes at a time while none of them needs an escape.
    while (last - from >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, from, 8);
      std::memcpy(to, &word, 8);
      if (may_need_escape(word)) {
        for (int i = 0; i < 8; ++i) to = put_escaped(*from++, to);
      } else {
        from += 8;
        to += 8;
      }
    }
    while (from < last) to = put_escaped(*from++, to);
    used_ = offset_of(to);
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101U;
  static constexpr std::uint64_t kHighs = 0x8080808080808080U;

  // True when a byte is below 14 or a backslash; also for a few harmless neighbours of such bytes.
  static bool may_need_escape(std::uint64_t word) {
    const std::uint64_t slashes = word ^ (kOnes * '\\');
    return (((word - kOnes * 14) & ~word) | ((slashes - kOnes) & ~slashes)) & kHighs;
  }

  static char* put_escaped(char c, char* to) {
    char letter = 0;
    switch (c) {
      case '\\':
        letter = '\\';
        break;
      case '\t':
        letter = 't';
        break;
      case '\n':
        letter = 'n';
        break;
      case '\r':
        letter = 'r';
        break;
      case '\0':
        letter = '0';
        break;
      default:
        *to++ = c;
        return to;
    }
    *to++ = '\\';
    *to++ = letter;
    return to;
  }

  // Most reals that people store are amounts with two decimals, and their text is found sooner than
  // to_chars() finds the shortest one. No two decimals of at most 15 digits read back as the same
  // number, so one that does is the shortest; with a fraction it is also shorter than any exponent.
  bool hundredths(double value) {
    constexpr double kLargest = 1e12;
    if (!(std::fabs(value) < kLargest)) return false;
    const double scaled = std::nearbyint(value * 100);
    if (scaled / 100 != value) return false;
    const auto cents = static_cast<std::uint64_t>(std::fabs(scaled));
    if (cents % 100 == 0) return false;
    char* to = here();
    if (value < 0) *to++ = '-';
    to = std::to_chars(to, end(), cents / 100).ptr;
    *to++ = '.';
    *to++ = static_cast<char>('0' + cents / 10 % 10);
    if (cents % 10 != 0) *to++ = static_cast<char>('0' + cents % 10);
    used_ = offset_of(to);
    return true;
  }

  void reserve(std::size_t more) {
    // Not to the capacity: resize() zeroes what it adds, and one large value would make every later
    // row pay for it.
    if (line_.size() - used_ < more) line_.resize((used_ + more) * 2);
  }
  char* here() { return line_.data() + used_; }
  char* end() { return line_.data() + line_.size(); }
  std::size_t offset_of(const char* at) const {
    return static_cast<std::size_t>(at - line_.data());
  }

  std::string& line_;
  std::size_t used_ = 0;
};

[[noreturn]] void throw_malformed(std::string_view why) {
  throw util::Error(util::ErrorCode::verification_failed,
                    util::cat("a stored row is malformed: ", why));
}

std::string unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  while (true) {
    const std::size_t at = text.find('\\');
    plain += text.substr(0, at);
    if (at == std::string_view::npos) return plain;
    if (at + 1 == text.size()) throw_malformed("it ends in a backslash");
    switch (text[at + 1]) {
      case '\\':
        plain += '\\';
        break;
      case 't':
        plain += '\t';
        break;
      case 'n':
        plain += '\n';
        break;
      case 'r':
        plain += '\r';
        break;
      case '0':
        plain += '\0';
        break;
      default:
        throw_malformed("unknown escape");
    }
    text.remove_prefix(at + 2);
  }
}

Field decode_field(std::string_view text) {
  if (text == "\\N") return {};
  if (text.empty()) throw_malformed("a field is empty");
  if (text.front() == '\'') return {Field::Type::text, unescape(text.substr(1))};
  if (text.front() == 'x') return {Field::Type::blob, unescape(text.substr(1))};
  const bool real = text.find_first_of(".en") != std::string_view::npos;
  return {real ? Field::Type::real : Field::Type::integer, std::string(text)};
}

template <typename Number>
Number parse_number(const std::string& text) {
  Number number{};
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc() || end != text.data() + text.size()) throw_malformed("bad number");
  return number;
}
}  // namespace

void encode_row(const sqlite::Statement& statement, int columns, std::string& line) {
  LineWriter writer(line);
  for (int column = 0; column < columns; ++column) {
    if (column > 0) writer.put('\t');
    const sqlite::Value value = statement.value(column);
    switch (value.type) {
      case ValueType::null:
        writer.null();
        break;
      case ValueType::integer:
        writer.integer(value.integer);
        break;
      case ValueType::real:
        writer.real(value.real);
        break;
      case ValueType::text:
        writer.bytes('\'', value.bytes);
        break;
      case ValueType::blob:
        writer.bytes('x', value.bytes);
        break;
    }
  }
}

void decode_row(std::string_view line, std::vector<Field>& fields) {
  fields.clear();
  while (true) {
    const std::size_t tab = line.find('\t');
    fields.push_back(decode_field(line.substr(0, tab)));
    if (tab == std::string_view::npos) return;
    line.remove_prefix(tab + 1);
  }
}

void bind_field(sqlite::Statement& statement, int parameter, const Field& field) {
  switch (field.type) {
    case Field::Type::null:
      statement.bind_null(parameter);
      break;
    case Field::Type::integer:
      statement.bind(parameter, parse_number<std::int64_t>(field.value));
      break;
    case Field::Type::real:
      statement.bind(parameter, parse_number<double>(field.value));
      break;
    case Field::Type::text:
    case Field::Type::json:
      statement.bind(parameter, field.value);
      break;
    case Field::Type::blob:
      statement.bind(parameter, util::as_bytes(field.value));
      break;
  }
}

}  // namespace dbbackup::engine::sqlite_engine
