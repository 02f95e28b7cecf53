#include "engine/mysql/row_reader.hpp"

#include <mysql.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/row_text.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
using util::cat;
using util::Error;
using util::ErrorCode;

constexpr std::size_t kFirstBuffer = 1024;
// Buffers grow up to here and stay; a larger value gets memory of its own for the time of its row.
constexpr std::size_t kLargestBuffer = std::size_t{1} << 20U;
constexpr std::uint64_t kRowsBetweenChecks = 1024;

struct StatementClose {
  void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
using Statement = std::unique_ptr<MYSQL_STMT, StatementClose>;

enum class Form { signed_integer, unsigned_integer, year, real4, real8, date, moment, time, bytes };

Form form_of(const MYSQL_FIELD& field) {
  switch (field.type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
      return (field.flags & UNSIGNED_FLAG) != 0 ? Form::unsigned_integer : Form::signed_integer;
    case MYSQL_TYPE_YEAR:
      return Form::year;
    case MYSQL_TYPE_FLOAT:
      return Form::real4;
    case MYSQL_TYPE_DOUBLE:
      return Form::real8;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
      return Form::date;
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_DATETIME2:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_TIMESTAMP2:
      return Form::moment;
    case MYSQL_TYPE_TIME:
    case MYSQL_TYPE_TIME2:
      return Form::time;
    default:
      return Form::bytes;
  }
}

template <typename Integer>
void append_integer(Integer value, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end.ptr);
}

void append_digits(unsigned long value, std::size_t width, std::string& out) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  const auto length = static_cast<std::size_t>(end.ptr - digits.data());
  if (length < width) out.append(width - length, '0');
  out.append(digits.data(), length);
}

void append_date(const MYSQL_TIME& time, std::string& out) {
  append_digits(time.year, 4, out);
  out += '-';
  append_digits(time.month, 2, out);
  out += '-';
  append_digits(time.day, 2, out);
}

void append_clock(const MYSQL_TIME& time, unsigned long hours, unsigned decimals,
                  std::string& out) {
  append_digits(hours, 2, out);
  out += ':';
  append_digits(time.minute, 2, out);
  out += ':';
  append_digits(time.second, 2, out);
  if (decimals == 0 || decimals > 6) return;
  out += '.';
  unsigned long fraction = time.second_part;
  for (unsigned i = decimals; i < 6; ++i) fraction /= 10;
  append_digits(fraction, decimals, out);
}

// One column: what it is, and where the library puts its value.
struct Column {
  Form form = Form::bytes;
  unsigned decimals = 0;
  std::int64_t integer = 0;
  float real4 = 0;
  double real8 = 0;
  MYSQL_TIME time{};
  std::vector<char> buffer;
  unsigned long length = 0;
  my_bool null = 0;
  my_bool truncated = 0;
};

void bind(Column& column, MYSQL_BIND& slot) {
  std::memset(&slot, 0, sizeof slot);
  slot.is_null = &column.null;
  slot.length = &column.length;
  slot.error = &column.truncated;
  switch (column.form) {
    case Form::signed_integer:
    case Form::unsigned_integer:
    case Form::year:
      slot.buffer_type = MYSQL_TYPE_LONGLONG;
      slot.buffer = &column.integer;
      slot.is_unsigned = column.form != Form::signed_integer;
      return;
    case Form::real4:
      slot.buffer_type = MYSQL_TYPE_FLOAT;
      slot.buffer = &column.real4;
      return;
    case Form::real8:
      slot.buffer_type = MYSQL_TYPE_DOUBLE;
      slot.buffer = &column.real8;
      return;
    case Form::date:
      slot.buffer_type = MYSQL_TYPE_DATE;
      slot.buffer = &column.time;
      return;
    case Form::moment:
      slot.buffer_type = MYSQL_TYPE_DATETIME;
      slot.buffer = &column.time;
      return;
    case Form::time:
      slot.buffer_type = MYSQL_TYPE_TIME;
      slot.buffer = &column.time;
      return;
    case Form::bytes:
      if (column.buffer.empty()) column.buffer.resize(kFirstBuffer);
      slot.buffer_type = MYSQL_TYPE_BLOB;
      slot.buffer = column.buffer.data();
      slot.buffer_length = static_cast<unsigned long>(column.buffer.size());
      return;
  }
}

class Reader {
 public:
  Reader(Connection& connection, const std::string& sql)
      : connection_(connection), statement_(mysql_stmt_init(connection.handle())) {
    if (!statement_) throw std::bad_alloc();
    if (mysql_stmt_prepare(statement_.get(), sql.data(), sql.size()) != 0) fail();
    if (mysql_stmt_execute(statement_.get()) != 0) fail();
    const std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> shape(
        mysql_stmt_result_metadata(statement_.get()), &mysql_free_result);
    if (!shape) throw Error(ErrorCode::internal, "a statement that reads rows has no columns");
    columns_.resize(mysql_num_fields(shape.get()));
    slots_.resize(columns_.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const MYSQL_FIELD& field = *mysql_fetch_field_direct(shape.get(), static_cast<unsigned>(i));
      columns_[i].form = form_of(field);
      columns_[i].decimals = field.decimals;
      bind(columns_[i], slots_[i]);
    }
    rebind();
  }

  bool next() {
    if (grown_) rebind();
    grown_ = false;
    const int state = mysql_stmt_fetch(statement_.get());
    if (state == MYSQL_NO_DATA) return false;
    if (state == 1) fail();
    return true;
  }

  std::size_t size() const { return columns_.size(); }

  void append(std::size_t i, std::string& line) {
    const Column& column = columns_[i];
    if (column.null != 0) {
      line += "\\N";
      return;
    }
    switch (column.form) {
      case Form::signed_integer:
        append_integer(column.integer, line);
        return;
      case Form::unsigned_integer:
        append_integer(static_cast<std::uint64_t>(column.integer), line);
        return;
      case Form::year:  // four digits: "0" would be read as the year 2000
        append_digits(static_cast<unsigned long>(column.integer), 4, line);
        return;
      case Form::real4:
        append_float(column.real4, line);
        return;
      case Form::real8:
        append_real(column.real8, line);
        return;
      case Form::date:
        append_date(column.time, line);
        return;
      case Form::moment:
        append_date(column.time, line);
        line += ' ';
        append_clock(column.time, column.time.hour, column.decimals, line);
        return;
      case Form::time:
        if (column.time.neg != 0) line += '-';
        append_clock(column.time, column.time.day * 24UL + column.time.hour, column.decimals, line);
        return;
      case Form::bytes:
        with_bytes(i, [&](std::string_view bytes) { append_row_field(bytes, line); });
        return;
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw server_error(mysql_stmt_errno(statement_.get()), mysql_stmt_error(statement_.get()),
                       connection_.stopped());
  }

  void rebind() {
    if (mysql_stmt_bind_result(statement_.get(), slots_.data()) != 0) fail();
  }

  template <typename Take>
  void with_bytes(std::size_t i, const Take& take) {
    Column& column = columns_[i];
    if (column.length <= column.buffer.size()) {
      take(std::string_view(column.buffer.data(), column.length));
      return;
    }
    // The buffer got only the value's beginning.
    if (column.length <= kLargestBuffer) {
      column.buffer.resize(std::min<std::size_t>(kLargestBuffer, column.length * 2));
      fetch_again(i, column.buffer);
      bind(column, slots_[i]);
      grown_ = true;
      take(std::string_view(column.buffer.data(), column.length));
      return;
    }
    std::vector<char> whole(column.length);
    fetch_again(i, whole);
    take(std::string_view(whole.data(), whole.size()));
  }

  void fetch_again(std::size_t i, std::vector<char>& buffer) {
    MYSQL_BIND slot;
    std::memset(&slot, 0, sizeof slot);
    unsigned long length = 0;
    my_bool null = 0;
    my_bool truncated = 0;
    slot.buffer_type = MYSQL_TYPE_BLOB;
    slot.buffer = buffer.data();
    slot.buffer_length = static_cast<unsigned long>(buffer.size());
    slot.length = &length;
    slot.is_null = &null;
    slot.error = &truncated;
    if (mysql_stmt_fetch_column(statement_.get(), &slot, static_cast<unsigned>(i), 0) != 0) fail();
    if (null != 0 || length != columns_[i].length) {
      throw Error(ErrorCode::internal, "the client library lost the rest of a long value");
    }
  }

  Connection& connection_;
  Statement statement_;
  std::vector<Column> columns_;
  std::vector<MYSQL_BIND> slots_;
  // A buffer was replaced. The library is told before the next row: being told in the middle of
  // one, it forgets where the row's values are.
  bool grown_ = false;
};
}  // namespace

void append_real(double value, std::string& out) {
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out.append(digits.data(), end.ptr);
}

void append_float(float value, std::string& out) {
  // The server reads a double and rounds it to a float. The shortest text of a float survives that
  // nearly always; where it would not (rounded twice, or beyond the largest float, which the server
  // refuses), the text of the double does.
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  double read = 0;
  std::from_chars(digits.data(), end.ptr, read);
  const bool beyond = std::abs(read) > std::numeric_limits<float>::max();
  if (beyond || static_cast<float>(read) != value)
    return append_real(static_cast<double>(value), out);
  out.append(digits.data(), end.ptr);
}

void read_rows(Connection& connection, const std::string& sql, const LineSink& sink,
               util::Task& task) {
  Reader reader(connection, sql);
  std::string line;
  std::uint64_t rows = 0;
  while (reader.next()) {
    if (++rows % kRowsBetweenChecks == 0) {
      task.progress().rows += kRowsBetweenChecks;
      task.check();
    }
    line.clear();
    for (std::size_t i = 0; i < reader.size(); ++i) {
      if (i > 0) line += '\t';
      reader.append(i, line);
    }
    line += '\n';
    sink(line);
  }
  task.progress().rows += rows % kRowsBetweenChecks;
}

}  // namespace dbbackup::engine::mysql
