// Bytes of a column's character set as UTF-8, for exports.
//
// Threads: one object belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace dbbackup::engine::mysql {

class TextCharset {
 public:
  // `server_name`: as the server calls it ("latin1", "utf8mb3", "utf16"). A set that the C library
  // does not know is passed on unchanged.
  explicit TextCharset(std::string_view server_name);

  // Bytes that are no text of the set are kept as they are.
  std::string to_utf8(std::string_view bytes);

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Close> handle_;  // iconv_t; null: nothing to convert
};

}  // namespace dbbackup::engine::mysql
