#include "engine/mysql/text_charset.hpp"

#include <iconv.h>

#include <array>
#include <cstdint>
#include <utility>

namespace dbbackup::engine::mysql {

namespace {
// The server's names that are not iconv's. Source: SHOW CHARACTER SET and iconv --list.
// The server's latin1 is what others call CP1252.
constexpr std::array<std::pair<std::string_view, const char*>, 16> kNames = {{
    {"latin1", "CP1252"},
    {"latin2", "ISO-8859-2"},
    {"latin5", "ISO-8859-9"},
    {"latin7", "ISO-8859-13"},
    {"greek", "ISO-8859-7"},
    {"hebrew", "ISO-8859-8"},
    {"koi8r", "KOI8-R"},
    {"koi8u", "KOI8-U"},
    {"ucs2", "UCS-2BE"},
    {"utf16", "UTF-16BE"},
    {"utf16le", "UTF-16LE"},
    {"utf32", "UTF-32BE"},
    {"ujis", "EUC-JP"},
    {"eucjpms", "EUC-JP"},
    {"sjis", "SHIFT_JIS"},
    {"euckr", "EUC-KR"},
}};

bool is_utf8(std::string_view name) {
  return name.empty() || name.starts_with("utf8") || name == "ascii" || name == "binary";
}
}  // namespace

void TextCharset::Close::operator()(void* handle) const { ::iconv_close(handle); }

TextCharset::TextCharset(std::string_view server_name) {
  if (is_utf8(server_name)) return;
  std::string name(server_name);
  for (const auto& [server, library] : kNames) {
    if (server == server_name) name = library;
  }
  const iconv_t handle = ::iconv_open("UTF-8", name.c_str());
  // Source: iconv_open(3), which returns (iconv_t)-1 on failure.
  if (reinterpret_cast<std::intptr_t>(handle) != -1) handle_.reset(handle);
}

std::string TextCharset::to_utf8(std::string_view bytes) {
  if (!handle_ || bytes.empty()) return std::string(bytes);
  std::string text(bytes.size() * 4, '\0');
  char* from = const_cast<char*>(bytes.data());  // the interface's; it is not written to
  std::size_t left = bytes.size();
  char* to = text.data();
  std::size_t room = text.size();
  ::iconv(handle_.get(), nullptr, nullptr, nullptr, nullptr);
  if (::iconv(handle_.get(), &from, &left, &to, &room) == static_cast<std::size_t>(-1)) {
    return std::string(bytes);
  }
  text.resize(text.size() - room);
  return text;
}

}  // namespace dbbackup::engine::mysql
