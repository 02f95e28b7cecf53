#include "ctl/progress_view.hpp"

#include <algorithm>
#include <cmath>

#include "ctl/format.hpp"
#include "ctl/text_width.hpp"
#include "util/text.hpp"

namespace dbbackup::ctl {

namespace json = util::json;
using util::cat;

namespace {

constexpr util::Milliseconds kRedraw{100};
constexpr util::Milliseconds kPlainLine{10'000};
constexpr std::size_t kWidestBar = 30;

std::string size_text(std::int64_t bytes) {
  return util::format_size(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0)));
}

std::int64_t percent(std::int64_t done, std::int64_t total) {
  if (total <= 0) return 0;
  const double share = static_cast<double>(done) * 100 / static_cast<double>(total);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(share), 0, 100);
}

std::string bar(std::int64_t done, std::int64_t total, std::size_t width) {
  const auto filled = static_cast<std::size_t>(percent(done, total)) * width / 100;
  return cat("[", std::string(filled, '#'), std::string(width - filled, '.'), "]");
}

std::string speed_text(const ProgressSample& sample) {
  std::string text;
  if (sample.bytes_per_second) {
    text += cat(", ", size_text(std::llround(*sample.bytes_per_second)), "/s");
  }
  if (sample.remaining_seconds && *sample.remaining_seconds >= 0) {
    text += cat(
        ", ", format_countdown(util::Milliseconds(std::llround(*sample.remaining_seconds * 1000))),
        " left");
  }
  return text;
}

std::string streams_text(const ProgressSample& sample) {
  std::string text = format_count(sample.streams_done);
  if (sample.streams_total > 0) text += cat(" of ", format_count(sample.streams_total));
  text += " streams";
  if (sample.rows > 0) text += cat(", ", format_count(sample.rows), " rows");
  return text;
}

std::string bytes_text(const ProgressSample& sample) {
  std::string text = size_text(sample.bytes);
  if (sample.bytes_total > 0) {
    text += cat(" of ", size_text(sample.bytes_total), " (",
                percent(sample.bytes, sample.bytes_total), " %)");
  }
  return text + speed_text(sample);
}

}  // namespace

ProgressSample progress_sample(const json::Object& params) {
  ProgressSample sample;
  sample.state = json::get_string(params, "state").value_or("");
  sample.waits_for = json::get_string(params, "waits_for").value_or("its turn");
  const json::Object* progress = json::get_object(params, "progress");
  if (progress == nullptr) return sample;
  const auto number = [&](std::string_view key) {
    return json::get_int(*progress, key).value_or(0);
  };
  sample.streams_done = number("streams_done");
  sample.streams_total = number("streams_total");
  sample.rows = number("rows");
  sample.bytes = number("bytes");
  sample.bytes_total = number("bytes_total");
  sample.bytes_per_second = json::get_number(*progress, "rate_bytes_per_second");
  sample.remaining_seconds = json::get_number(*progress, "remaining_seconds");
  return sample;
}

std::string progress_line(const ProgressSample& sample) {
  if (sample.state == "queued") return cat("queued: waiting for ", sample.waits_for);
  return cat(streams_text(sample), ", ", bytes_text(sample));
}

std::vector<std::string> progress_bars(const ProgressSample& sample, std::size_t width) {
  if (sample.state == "queued") return {fit(progress_line(sample), width)};
  const std::size_t room = width > 50 ? std::min(kWidestBar, width - 50) : 5;
  return {fit(cat("streams ", bar(sample.streams_done, sample.streams_total, room), " ",
                  streams_text(sample)),
              width),
          fit(cat("bytes   ", bar(sample.bytes, sample.bytes_total, room), " ", bytes_text(sample)),
              width)};
}

void ProgressView::progress(const json::Object& params) {
  if (mode_ == Mode::objects) {
    json::Object object{{"message_type", "progress"}};
    for (const auto& member : params) object.insert(member);
    out_.json(object);
    return;
  }
  if (mode_ == Mode::none) return;
  sample_ = progress_sample(params);
  estimate(sample_);
  const util::SteadyPoint now = clock_.steady_now();
  const util::Milliseconds pause = mode_ == Mode::bars ? kRedraw : kPlainLine;
  if (shown_at_ && now - *shown_at_ < pause) return;
  shown_at_ = now;
  if (mode_ == Mode::lines) {
    out_.note(progress_line(sample_));
  } else {
    erase();
    draw();
  }
}

void ProgressView::log(const json::Object& params) {
  if (mode_ == Mode::objects) {
    json::Object object{{"message_type", "log"}};
    for (const auto& member : params) object.insert(member);
    out_.json(object);
  } else {
    say(log_line(params));
  }
}

void ProgressView::say(std::string_view line) {
  const bool bars = lines_drawn_ > 0;
  erase();
  out_.note(line);
  if (bars) draw();
}

void ProgressView::finish() { erase(); }

// A daemon that knows no rate leaves it to the bytes seen so far.
void ProgressView::estimate(ProgressSample& sample) {
  const util::SteadyPoint now = clock_.steady_now();
  if (!first_) first_ = {now, sample.bytes};
  const double seconds = std::chrono::duration<double>(now - first_->first).count();
  if (!sample.bytes_per_second && seconds >= 1) {
    sample.bytes_per_second = static_cast<double>(sample.bytes - first_->second) / seconds;
  }
  const std::int64_t left = sample.bytes_total - sample.bytes;
  if (!sample.remaining_seconds && sample.bytes_per_second.value_or(0) > 0 && left >= 0 &&
      sample.bytes_total > 0) {
    sample.remaining_seconds = static_cast<double>(left) / *sample.bytes_per_second;
  }
}

void ProgressView::erase() {
  // Source: ECMA-48 (CUU: up one line, EL: erase it).
  for (; lines_drawn_ > 0; --lines_drawn_) out_.error_stream() << "\x1b[1A\x1b[2K";
  out_.error_stream().flush();
}

void ProgressView::draw() {
  // One column is left free: a full line would make some terminals wrap, and the way back up would
  // miss one.
  const std::size_t width = std::max<std::size_t>(out_.terminal().width, 20) - 1;
  for (const std::string& line : progress_bars(sample_, width)) {
    out_.error_stream() << line << '\n';
    ++lines_drawn_;
  }
  out_.error_stream().flush();
}

std::string log_line(const json::Object& entry) {
  const auto at = json::get_string(entry, "at");
  const auto time = at ? util::parse_time(*at) : std::nullopt;
  return cat(time ? format_time(*time) : std::string("-"), "  ",
             json::get_string(entry, "severity").value_or("info"), "  ",
             json::get_string(entry, "line").value_or(""));
}

}  // namespace dbbackup::ctl
