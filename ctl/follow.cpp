#include "ctl/follow.hpp"

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

constexpr util::Milliseconds kSecondThought{2000};
constexpr int kFailed = 1;

int status_of(ErrorCode code) { return util::traits(code).exit_status; }

ProgressView::Mode progress_mode(const Output& out, bool follow) {
  if (out.format() == Format::jsonl) return ProgressView::Mode::objects;
  if (out.quiet()) return ProgressView::Mode::none;
  if (out.terminal().error) return ProgressView::Mode::bars;
  // Who only waits, in a cron job for example, wants the result and nothing before it.
  return follow ? ProgressView::Mode::lines : ProgressView::Mode::none;
}

// One run being watched.
class Watch {
 public:
  Watch(const json::Object& params, const Context& context)
      : params_(params),
        context_(context),
        run_(json::get_string(params, "run").value_or("")),
        interrupts_(context.watch_interrupts()),
        view_(progress_mode(context.out, json::get_bool(params, "follow").value_or(false)),
              context.out, context.clock) {}

  // Empty when the person detached.
  std::optional<json::Object> wait() {
    json::Value reply = call([this] { return keep_waiting(); });
    if (reply.is_null() && interrupts_() >= 2) {
      view_.say(cat("cancelling run ", run_));
      context_.call("run.cancel", {{"run", run_}}, {}, {});
      reply = call([this] { return interrupts_() < 3; });
    }
    view_.finish();
    if (reply.is_null()) return std::nullopt;
    const json::Object* run =
        reply.is_object() ? json::get_object(reply.get_object(), "run") : nullptr;
    if (run == nullptr) {
      throw Error(ErrorCode::internal, "the daemon's answer to run.wait holds no run");
    }
    return *run;
  }

 private:
  json::Value call(const control::Client::KeepWaiting& keep) {
    return context_.call(
        "run.wait", params_,
        [this](const std::string& method, const json::Object& notification) {
          if (method == "run.progress") view_.progress(notification);
          if (method == "run.log") view_.log(notification);
          return true;
        },
        keep);
  }

  bool keep_waiting() {
    const int count = interrupts_();
    if (count == 0) return true;
    if (count >= 2 || !context_.terminal.error) return false;
    const util::SteadyPoint now = context_.clock.steady_now();
    if (!detaching_since_) {
      detaching_since_ = now;
      view_.say("detaching; press Ctrl-C again within 2 s to cancel the run");
    }
    return now - *detaching_since_ < kSecondThought;
  }

  const json::Object& params_;
  const Context& context_;
  std::string run_;
  std::function<int()> interrupts_;
  ProgressView view_;
  std::optional<util::SteadyPoint> detaching_since_;
};

}  // namespace

int exit_status_of_run(const json::Object& run) {
  const std::string state = json::get_string(run, "state").value_or("");
  if (state == "succeeded") return 0;
  if (state == "partial") return status_of(ErrorCode::partial);
  if (state == "cancelled") return status_of(ErrorCode::cancelled);
  if (state == "skipped") return status_of(ErrorCode::conflict);
  if (state == "queued" || state == "running") return status_of(ErrorCode::timed_out);
  const json::Object* error = json::get_object(run, "error");
  const auto name = error != nullptr ? json::get_string(*error, "code") : std::nullopt;
  const auto code = name ? util::error_code_from_name(*name) : std::nullopt;
  // The other statuses speak of the command that was typed: a run whose source is not there has
  // failed, while 2 says that the command named something unknown.
  const int status = code ? status_of(*code) : kFailed;
  const bool of_runs = status == status_of(ErrorCode::timed_out) ||
                       status == status_of(ErrorCode::refused) ||
                       status == status_of(ErrorCode::verification_failed);
  return of_runs ? status : kFailed;
}

int wait_for_run(const json::Object& params, const Context& context) {
  const auto run = Watch(params, context).wait();
  if (!run) {
    const std::string id = json::get_string(params, "run").value_or("");
    context.out.note(cat("detached; the run goes on: dbbackupctl run wait ", id));
    return status_of(ErrorCode::cancelled);
  }
  show_ended_run(*run, context);
  return exit_status_of_run(*run);
}

int stream(std::string_view method, const json::Object& params, const Context& context) {
  const auto interrupts = context.watch_interrupts();
  const json::Value reply = context.call(
      method, params,
      [&](const std::string& notification, const json::Object& object) {
        if (context.out.format() == Format::name) {
          context.out.reply({{notification, object}});
        } else if (context.out.format() != Format::table) {
          context.out.json(object);
        } else if (notification == "run.log") {
          context.out.line(log_line(object));
        } else if (notification == "event") {
          context.out.line(event_line(object));
        }
        return interrupts() == 0;
      },
      [&] { return interrupts() == 0; });
  return reply.is_null() ? status_of(ErrorCode::cancelled) : 0;
}

}  // namespace dbbackup::ctl
