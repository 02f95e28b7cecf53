#include "ctl/format.hpp"
#include "ctl/views.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

constexpr Column::Align kRight = Column::Align::right;

void show_daemon(const json::Object& status, const Context& context) {
  const json::Object& daemon = item(status, "daemon");
  const json::Object& runs = item(status, "runs");
  const std::int64_t retries = json::get_int(runs, "retrying").value_or(0);
  const std::string retrying = retries > 0 ? cat(" (", retries, " to be tried again)") : "";
  context.out.fields({{"Daemon", cat("version ", text_of(daemon, "version"), ", up ",
                                     span_of(daemon, "uptime_seconds"))},
                      {"Runs", cat(count_of(runs, "running"), " running, ",
                                   count_of(runs, "queued"), " queued", retrying)}});
  // A minute late is more than a busy machine explains.
  if (json::get_number(daemon, "scheduler_lag_seconds").value_or(0) > 60) {
    context.out.warning(cat("the scheduler is late by ", span_of(daemon, "scheduler_lag_seconds")));
  }
}

void show_jobs(const json::Object& status, const Context& context) {
  Table table({{"JOB"}, {"STATE"}, {"LAST SUCCESS"}, {"MAXIMUM AGE"}, {"NEXT RUN"}});
  const util::TimePoint now = context.clock.now();
  for (const json::Object* job : items(status, "jobs")) {
    const auto age = json::get_number(*job, "age_seconds");
    const auto limit = json::get_number(*job, "max_age_seconds");
    const Style style = age && limit && *age > *limit ? Style::bad : Style::plain;
    const bool retries = json::get_string(*job, "retry_at").has_value();
    table.add({text_of(*job, "name"),
               retries ? Cell(cat("retry ", age_of(*job, "retry_at", now)), Style::warning)
                       : state_cell(text_of(*job, "state")),
               Cell(age ? span_of(*job, "age_seconds") + " ago" : std::string("never"), style),
               span_of(*job, "max_age_seconds"), age_of(*job, "next_run_at", now)});
  }
  if (table.empty()) return;
  context.out.line("");
  context.out.table(table);
}

void show_repositories(const json::Object& status, const Context& context) {
  Table table(
      {{"REPOSITORY"}, {"STATE"}, {"ARTIFACTS", kRight}, {"STORED", kRight}, {"FREE", kRight}});
  for (const json::Object* repository : items(status, "repositories")) {
    const bool reachable = json::get_bool(*repository, "reachable").value_or(false);
    table.add({text_of(*repository, "name"), state_cell(reachable ? "ok" : "unreachable"),
               count_of(*repository, "artifacts"), size_of(*repository, "stored_bytes"),
               size_of(*repository, "free_bytes")});
  }
  if (table.empty()) return;
  context.out.line("");
  context.out.table(table);
}

void show(const json::Object& reply, const Context& context) {
  show_daemon(reply, context);
  show_jobs(reply, context);
  show_repositories(reply, context);
  if (!items(reply, "jobs").empty()) return;
  context.out.line("");
  context.out.line("Nothing is backed up regularly yet. To begin:");
  context.out.line("  dbbackupctl database add shop sqlite:///srv/shop/shop.db");
  context.out.line("  dbbackupctl job add shop-nightly --database shop --keep-last 7");
  context.out.line(
      "  dbbackupctl schedule add shop-nightly --job shop-nightly --cron '30 2 * * *'");
}

constexpr View kViews[] = {{"status.show", show}};

}  // namespace

std::span<const View> status_views() { return kViews; }

}  // namespace dbbackup::ctl
