// Reads a JSON array of {expression, from, until, most} and writes an array of arrays: the
// times, in seconds, at which each expression fires. aws-cron-parser does not look at the
// length of months: it takes the 31st of February for the 3rd of March, and goes on from
// there. So each month is asked for by itself, and what lies beyond its end is left out.
// from is the beginning of a month.
const { parse, next } = require("aws-cron-parser");

// The first minute of a month: next gives only what is later than it is told.
const atMidnight = (parsed, at) => {
  const days = parsed.daysOfMonth.filter((d) => typeof d === "number");
  if (!parsed.minutes.includes(0) || !parsed.hours.includes(0) || !parsed.months.includes(at.getUTCMonth() + 1)) return false;
  if (days.length > 0) return days.includes(1);
  const before = new Date(at.getTime() - 60000);
  return next(parsed, before).getTime() === at.getTime(); // by the day of the week nothing rolls over
};

const fires = ({ expression, from, until, most }) => {
  const parsed = parse(expression);
  const times = [];
  for (let month = new Date(from * 1000); month.getTime() / 1000 < until; ) {
    const end = new Date(Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1));
    if (atMidnight(parsed, month)) times.push(month.getTime() / 1000);
    for (let at = next(parsed, month); at !== null && at < end && times.length < most; at = next(parsed, at)) times.push(at.getTime() / 1000);
    if (times.length >= most) return times.slice(0, most);
    month = end;
  }
  return times;
};

let input = "";
process.stdin.on("data", (piece) => (input += piece));
process.stdin.on("end", () => process.stdout.write(JSON.stringify(JSON.parse(input).map(fires))));
