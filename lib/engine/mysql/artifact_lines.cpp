#include "engine/mysql/artifact_lines.hpp"

#include <algorithm>

#include "engine/mysql/table_reader.hpp"
#include "util/text.hpp"

namespace dbbackup::engine::mysql {

namespace {
constexpr unsigned kReadAhead = 1;
}

bool has_stream(const repository::ArtifactReader& reader, std::string_view name) {
  return std::any_of(reader.streams().begin(), reader.streams().end(),
                     [&](const repository::StreamInfo& stream) { return stream.name == name; });
}

void read_lines(repository::ArtifactReader& reader, const std::string& stream,
                const std::function<void(std::string_view line)>& each, util::Task& task) {
  std::string begun;  // of a line that goes on in the next piece
  reader.open(stream)->read_all(
      [&](std::uint64_t, util::ByteView piece) {
        std::string_view rest = util::as_text(piece);
        while (!rest.empty()) {
          const std::size_t end = rest.find('\n');
          if (end == std::string_view::npos) {
            begun.append(rest);
            return;
          }
          if (begun.empty()) {
            each(rest.substr(0, end));
          } else {
            begun.append(rest.substr(0, end));
            each(begun);
            begun.clear();
          }
          rest.remove_prefix(end + 1);
        }
      },
      kReadAhead, task);
  if (!begun.empty()) {
    throw util::Error(util::ErrorCode::verification_failed,
                      util::cat("stream ", util::printable(stream), " ends inside a row"));
  }
}

std::vector<Definition> read_artifact_definitions(repository::ArtifactReader& reader,
                                                  util::Task& task) {
  std::vector<Definition> definitions;
  read_lines(
      reader, kDefinitionStream,
      [&](std::string_view line) { definitions.push_back(parse_definition(line)); }, task);
  return definitions;
}

std::string source_database(const repository::ArtifactReader& reader) {
  return util::json::get_string(reader.summary().engine_data, "database").value_or("");
}

std::vector<std::string> row_streams(const repository::ArtifactReader& reader,
                                     const std::string& table) {
  const std::string whole = data_stream(source_database(reader), table);
  const std::string part = whole + "#";
  std::vector<std::string> names;
  for (const repository::StreamInfo& stream : reader.streams()) {
    if (stream.name == whole || stream.name.starts_with(part)) names.push_back(stream.name);
  }
  return names;
}

}  // namespace dbbackup::engine::mysql
