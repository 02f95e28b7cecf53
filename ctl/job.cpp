#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

void show_list(const json::Object& reply, const Context& context) {
  Table table(
      {{"NAME"}, {"DATABASE"}, {"REPOSITORY"}, {"TYPE"}, {"LAST RUN"}, {"ENDED"}, {"NEXT"}});
  const util::TimePoint now = context.clock.now();
  for (const json::Object* job : items(reply, "jobs")) {
    const json::Object& last = item(*job, "last_run");
    table.add({text_of(*job, "name"), text_of(*job, "database"), text_of(*job, "repository"),
               text_of(*job, "type"), state_cell(text_of(last, "state")),
               age_of(last, "finished_at", now), age_of(*job, "next_run_at", now)});
  }
  show_table(table, "no jobs; add one: dbbackupctl job add NAME --database DATABASE", context);
}

void show_one(const json::Object& reply, const Context& context) {
  const json::Object& job = item(reply, "job");
  const util::TimePoint now = context.clock.now();
  const json::Object& last = item(job, "last_run");
  context.out.fields({{"Name", text_of(job, "name")},
                      {"Database", text_of(job, "database")},
                      {"Repository", text_of(job, "repository")},
                      {"Type", text_of(job, "type")},
                      {"Include", list_text(job, "include")},
                      {"Exclude", list_text(job, "exclude")},
                      {"Where", pairs_text(job, "where")},
                      {"Parallel", text_of(job, "parallel")},
                      {"Keep", pairs_text(job, "keep")},
                      {"Timezone", text_of(job, "timezone")},
                      {"Row drop", cat("at most ", text_of(job, "max_row_drop"), " %")},
                      {"Maximum age", text_of(job, "max_age")},
                      {"Retries", text_of(job, "retries")},
                      {"Retry delay", text_of(job, "retry_delay")},
                      {"Longest delay", text_of(job, "retry_max_delay")},
                      {"Timeout", text_of(job, "timeout")},
                      {"Stall timeout", text_of(job, "stall_timeout")},
                      {"Pre-hook", text_of(job, "pre_hook")},
                      {"Post-hook", text_of(job, "post_hook")},
                      {"Hook timeout", text_of(job, "hook_timeout")},
                      {"Options", pairs_text(job, "options")},
                      {"Last run", text_of(last, "id")},
                      {"Last state", state_cell(text_of(last, "state"))},
                      {"Last ended", time_of(last, "finished_at", now)},
                      {"Next run", time_of(job, "next_run_at", now)},
                      {"Created", time_of(job, "created_at", now)}});
}

void show_added(const json::Object& reply, const Context& context) {
  const std::string name = text_of(item(reply, "job"), "name");
  context.out.line(cat("job ", name, " added"));
  note_warnings(item(reply, "job"), context);
  context.out.note(cat("next: dbbackupctl job run ", name,
                       " --wait; then dbbackupctl schedule add ", name, " --job ", name,
                       " --cron '30 2 * * *'"));
}

void show_updated(const json::Object& reply, const Context& context) {
  context.out.line(cat("job ", text_of(item(reply, "job"), "name"), " updated"));
  note_warnings(item(reply, "job"), context);
}

void show_removed(const json::Object& reply, const Context& context) {
  context.out.line(cat("job ", text_of(reply, "removed"), " removed; its artifacts stay"));
}

constexpr View kViews[] = {
    {"job.add", show_added},      {"job.list", show_list},      {"job.show", show_one},
    {"job.update", show_updated}, {"job.remove", show_removed},
};

}  // namespace

std::span<const View> job_views() { return kViews; }

}  // namespace dbbackup::ctl
