#include "ctl/format.hpp"
#include "ctl/progress_view.hpp"
#include "ctl/views.hpp"
#include "util/error.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;
using util::Error;
using util::ErrorCode;

namespace {

// What a run is about: "shop-nightly", "shop", "default".
std::string subject(const json::Object& run) {
  for (const std::string_view key : {"job", "database", "repository"}) {
    if (const auto name = json::get_string(run, key)) return *name;
  }
  return "-";
}

std::optional<Error> error_of(const json::Object& run) {
  const json::Object* error = json::get_object(run, "error");
  if (error == nullptr) return std::nullopt;
  const auto code = util::error_code_from_name(json::get_string(*error, "code").value_or(""));
  return Error(code.value_or(ErrorCode::internal),
               json::get_string(*error, "message").value_or("the run failed"),
               json::get_string(*error, "hint").value_or(""));
}

void show_list(const json::Object& reply, const Context& context) {
  Table table({{.header = "ID", .whole = true},
               {"KIND"},
               {"OF"},
               {"STATE"},
               {"QUEUED"},
               {"TOOK"},
               {"ARTIFACT"},
               {"WAITS FOR"}});
  for (const json::Object* run : items(reply, "runs")) {
    table.add({text_of(*run, "id"), text_of(*run, "kind"), subject(*run),
               state_cell(text_of(*run, "state")), age_of(*run, "queued_at", context.clock.now()),
               span_of(*run, "duration_seconds"), text_of(*run, "artifact"),
               text_of(*run, "waits_for")});
  }
  show_table(table, "no runs", context);
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& run = item(reply, "run");
  const util::TimePoint now = context.clock.now();
  const auto error = error_of(run);
  context.out.fields(
      {{"Id", text_of(run, "id")},
       {"Kind", text_of(run, "kind")},
       {"Job", text_of(run, "job")},
       {"Database", text_of(run, "database")},
       {"Repository", text_of(run, "repository")},
       {"Type", text_of(run, "type")},
       {"State", state_cell(text_of(run, "state"))},
       {"Attempt", text_of(run, "attempt")},
       {"Waits for", text_of(run, "waits_for")},
       {"Queued", time_of(run, "queued_at", now)},
       {"Started", time_of(run, "started_at", now)},
       {"Finished", time_of(run, "finished_at", now)},
       {"Took", span_of(run, "duration_seconds")},
       {"Progress", progress_line(progress_sample(run))},
       {"Artifact", text_of(run, "artifact")},
       {"Error", error ? cat(error->message(), " (", util::traits(error->code()).name, ")") : "-"},
       {"Hint", error ? error->hint() : "-"}});
  for (const json::Object* attempt : items(run, "earlier_attempts")) {
    const auto problem = error_of(*attempt);
    context.out.line(cat("Attempt ", text_of(*attempt, "attempt"), " ", text_of(*attempt, "state"),
                         " ", time_of(*attempt, "finished_at", now), ": ",
                         problem ? problem->message() : "-"));
  }
  for (const std::string& warning : json::get_strings(run, "warnings")) {
    context.out.line(cat("Warning: ", warning));
  }
}

void show_log(const json::Object& reply, const Context& context) {
  for (const json::Object* line : items(reply, "lines")) context.out.line(log_line(*line));
}

void show_cancelled(const json::Object& reply, const Context& context) {
  const json::Object& run = item(reply, "run");
  context.out.line(
      cat("run ", text_of(run, "id"), " is asked to stop; it is ", text_of(run, "state"), " now"));
}

std::string result_line(const json::Object& run) {
  std::string line = cat("run ", text_of(run, "id"), ": ", text_of(run, "kind"), " of ",
                         subject(run), " ", text_of(run, "state"));
  if (json::get_number(run, "duration_seconds"))
    line += cat(" in ", span_of(run, "duration_seconds"));
  if (const json::Object* progress = json::get_object(run, "progress")) {
    line += cat(", ", count_of(*progress, "streams_done"), " streams, ",
                count_of(*progress, "rows"), " rows, ", size_of(*progress, "bytes"));
  }
  if (json::get_string(run, "artifact")) line += cat(", artifact ", text_of(run, "artifact"));
  return line;
}

constexpr View kViews[] = {
    {"run.list", show_list},
    {"run.show", show_one},
    {"run.log", show_log},
    {"run.cancel", show_cancelled},
};

}  // namespace

std::span<const View> run_views() { return kViews; }

void show_ended_run(const json::Object& run, const Context& context) {
  switch (context.out.format()) {
    case Format::json:
      context.out.json(json::Object{{"schema_version", 1}, {"run", run}});
      break;
    case Format::jsonl: {
      json::Object object{{"message_type", "run"}};
      for (const auto& member : run) object.insert(member);
      context.out.json(object);
      break;
    }
    case Format::name:
      context.out.line(text_of(run, "id"));
      break;
    case Format::table:
      context.out.line(result_line(run));
      break;
  }
  for (const std::string& warning : json::get_strings(run, "warnings")) {
    context.out.warning(warning);
  }
  if (const auto error = error_of(run)) context.out.error_lines(*error);
}

}  // namespace dbbackup::ctl
