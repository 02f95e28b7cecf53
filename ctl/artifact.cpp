#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

constexpr Column::Align kRight = Column::Align::right;

// Sealed, checked, proved or damaged; whether somebody has to look at it; and whether it holds only
// a part of its database.
Cell artifact_state_cell(const json::Object& artifact) {
  Cell cell = state_cell(text_of(artifact, "state"));
  if (json::get_bool(artifact, "suspicious").value_or(false)) {
    cell = {cell.text + ", suspicious", Style::warning};
  }
  if (!items(artifact, "skipped").empty()) cell.text += " (partial)";
  return cell;
}

void show_list(const json::Object& reply, const Context& context) {
  Table table({{.header = "ID", .whole = true},
               {"DATABASE"},
               {"JOB"},
               {"TYPE"},
               {"CREATED"},
               {"ROWS", kRight},
               {"SOURCE", kRight},
               {"ADDED", kRight},
               {"STATE"},
               {"HELD"}});
  for (const json::Object* artifact : items(reply, "artifacts")) {
    const json::Object& statistics = item(*artifact, "statistics");
    table.add({text_of(*artifact, "id"), text_of(*artifact, "database"), text_of(*artifact, "job"),
               text_of(*artifact, "type"), age_of(*artifact, "created_at", context.clock.now()),
               count_of(statistics, "rows"), size_of(statistics, "source_bytes"),
               size_of(statistics, "added_bytes"), artifact_state_cell(*artifact),
               items(*artifact, "holds").empty() ? "-" : "yes"});
  }
  show_table(table, "no artifacts yet; make one: dbbackupctl backup DATABASE --wait", context);
}

void show_streams(const json::Object& artifact, const Context& context) {
  Table table({{"STREAM"}, {"KIND"}, {"ROWS", kRight}, {"SIZE", kRight}, {"HASH"}});
  for (const json::Object* stream : items(artifact, "streams")) {
    table.add({text_of(*stream, "name"), text_of(*stream, "kind"), count_of(*stream, "rows"),
               size_of(*stream, "bytes"), text_of(*stream, "hash")});
  }
  if (table.empty()) return;
  context.out.line("");
  context.out.table(table);
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& artifact = item(reply, "artifact");
  const util::TimePoint now = context.clock.now();
  const json::Object& statistics = item(artifact, "statistics");
  const json::Object& proof = item(artifact, "proof");
  const json::Object& consistency = item(artifact, "consistency");
  context.out.fields({{"Id", text_of(artifact, "id")},
                      {"Name", text_of(artifact, "name")},
                      {"Job", text_of(artifact, "job")},
                      {"Database", text_of(artifact, "database")},
                      {"Engine", text_of(artifact, "engine")},
                      {"Server", text_of(artifact, "server_version")},
                      {"Type", text_of(artifact, "type")},
                      {"Base", text_of(artifact, "base")},
                      {"State", artifact_state_cell(artifact)},
                      {"Created", time_of(artifact, "created_at", now)},
                      {"Took", span_of(artifact, "duration_seconds")},
                      {"Consistency", text_of(consistency, "kind")},
                      {"Position", text_of(consistency, "position")},
                      {"Streams", count_of(statistics, "streams")},
                      {"Rows", count_of(statistics, "rows")},
                      {"Source size", size_of(statistics, "source_bytes")},
                      {"Added size", size_of(statistics, "added_bytes")},
                      {"Proof", state_cell(text_of(item(artifact, "proof"), "state"))},
                      {"Proved", time_of(proof, "proved_at", now)},
                      {"Proved by", text_of(proof, "run")}});
  for (const json::Object* hold : items(artifact, "holds")) {
    context.out.line(
        cat("Held: ", text_of(*hold, "reason"), ", until ",
            json::find(*hold, "until") != nullptr ? time_of(*hold, "until", now) : "released"));
  }
  for (const json::Object* skipped : items(artifact, "skipped")) {
    context.out.line(
        cat("Skipped: ", text_of(*skipped, "name"), ": ", text_of(*skipped, "reason")));
  }
  if (json::get_bool(artifact, "suspicious").value_or(false)) {
    context.out.line(cat("Suspicious: retention removes nothing of job ", text_of(artifact, "job"),
                         " until it is accepted (dbbackupctl artifact accept ",
                         text_of(artifact, "id"), ")"));
  } else if (!json::get_strings(artifact, "suspicions").empty()) {
    context.out.line(cat("Accepted: ", time_of(artifact, "accepted_at", now)));
  }
  for (const std::string& warning : json::get_strings(artifact, "warnings")) {
    context.out.line(cat("Warning: ", warning));
  }
  show_streams(artifact, context);
}

void show_diff(const json::Object& reply, const Context& context) {
  const json::Object& diff = item(reply, "diff");
  Table table({{"STREAM"},
               {"CHANGE"},
               {"ROWS A", kRight},
               {"ROWS B", kRight},
               {"SIZE A", kRight},
               {"SIZE B", kRight}});
  for (const json::Object* stream : items(diff, "streams")) {
    table.add({text_of(*stream, "name"), text_of(*stream, "change"), count_of(*stream, "rows_a"),
               count_of(*stream, "rows_b"), size_of(*stream, "bytes_a"),
               size_of(*stream, "bytes_b")});
  }
  context.out.fields({{"A", text_of(diff, "a")}, {"B", text_of(diff, "b")}});
  show_table(table, "the two artifacts hold the same", context);
}

void show_held(const json::Object& reply, const Context& context) {
  context.out.line(cat("artifact ", text_of(item(reply, "artifact"), "id"), " is held"));
}

void show_released(const json::Object& reply, const Context& context) {
  context.out.line(cat("artifact ", text_of(item(reply, "artifact"), "id"), " is released"));
}

void show_accepted(const json::Object& reply, const Context& context) {
  context.out.line(cat("artifact ", text_of(item(reply, "artifact"), "id"), " is accepted"));
}

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(cat("artifact ", text_of(reply, "removed"), " removed"));
  context.out.note("its space is freed by the next prune: dbbackupctl repository prune REPOSITORY");
}

constexpr View kViews[] = {
    {"artifact.list", show_list},        {"artifact.show", show_one},
    {"artifact.diff", show_diff},        {"artifact.hold", show_held},
    {"artifact.release", show_released}, {"artifact.accept", show_accepted},
    {"artifact.remove", show_removed},
};

}  // namespace

std::span<const View> artifact_views() { return kViews; }

}  // namespace dbbackup::ctl
