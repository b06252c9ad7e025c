"use strict";
/* Fetches /v1/status every few seconds and shows it as a table. The token lives in this tab only. */
const EVERY_MS = 3000;
let token = null;

const summary = document.getElementById("summary");
const table = document.getElementById("jobs");

function cell(row, text, className) {
  const td = row.insertCell();
  td.textContent = text ?? "";
  if (className) td.className = className;
}

function seconds(lag) {
  if (lag === null) return "never";
  if (lag < 120) return `${lag} s`;
  return lag < 7200 ? `${Math.round(lag / 60)} min` : `${Math.round(lag / 3600)} h`;
}

function show(status) {
  summary.textContent = `${status.state} · store ${status.store} · ${status.runs_running} running, ` +
    `${status.runs_held} held · version ${status.version} · ${status.now}`;
  const body = table.tBodies[0];
  body.replaceChildren();
  for (const job of status.feeds) {
    const row = body.insertRow();
    cell(row, job.job);
    cell(row, job.state, `state-${job.state}`);
    cell(row, job.last_success_at);
    cell(row, seconds(job.lag_seconds));
    cell(row, job.next_due_at);
    cell(row, [job.why_not, job.last_error].filter(Boolean).join(": "), job.last_error ? "failed" : "");
  }
  table.hidden = false;
}

async function refresh() {
  try {
    const answer = await fetch("/v1/status", { headers: { Authorization: `Bearer ${token}` } });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    show(body);
  } catch (problem) {
    summary.textContent = `cannot show the status: ${problem.message}`;
  }
  setTimeout(refresh, EVERY_MS);
}

document.getElementById("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const first = token === null;
  token = document.getElementById("token").value;
  if (first) refresh();
});
