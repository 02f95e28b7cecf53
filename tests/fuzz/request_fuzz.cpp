// Whatever arrives on the control socket: reading the line, checking the parameters, and the
// answer's text.
//
// Beyond not crashing: a refused line has an answer that reads back as an error, and checked
// parameters pass the check again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "control/wire.hpp"

using namespace dbbackup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto parsed = control::parse_request(line);
  if (const auto* refusal = std::get_if<control::Refusal>(&parsed)) {
    const std::string answer = control::refusal_line(*refusal);
    const auto reply = util::json::parse(answer);
    if (answer.find('\n') != answer.size() - 1 || !reply.as_object().contains("error"))
      std::abort();
    return 0;
  }
  const auto& request = std::get<control::Request>(parsed);
  util::json::write(util::json::Value(control::without_secrets(*request.command, request.params)));
  try {
    const auto params = control::check_parameters(*request.command, request.params);
    if (control::check_parameters(*request.command, params) != params) std::abort();
  } catch (const util::Error& error) {
    if (error.code() != util::ErrorCode::usage) std::abort();
    control::error_line(request.id, error);
  }
  return 0;
}
