// Any bytes at all as a configuration file: a result or diagnostics, never a crash, and every
// diagnostic can be shown.
#include <cstddef>
#include <cstdint>

#include "config/daemon_config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dbbackup::config::LoadResult result = dbbackup::config::load_text(text, "fuzz.yaml");
  for (const dbbackup::config::Diagnostic& diagnostic : result.diagnostics) {
    if (dbbackup::config::render(diagnostic, result.text).empty()) __builtin_trap();
  }
  return 0;
}
