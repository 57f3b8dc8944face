/**
 * How the script `commit` stores what it is mostly given: a task of a chain of tasks that was taken, is done, and has said
 * nothing meanwhile. It does what `write` would, with a fraction of the Lua: what all items of a form write is made once.
 */
export const commitPass = `
local function shared_by(form)
  local stamp = stamp_ago(form.ago)
  form.run_begun = stamp .. ' {"type":"run.started"}'
  form.record = 'completed ' .. form.counts .. ' - ' .. time_ago(form.ago) .. ' ' .. now_text .. ' 0'
  begun_line(form, stamp)
  completed_line(form)
end

local function pass(i, at)
  local run, form = run_of[i], form_of[i]
  local stream, tenant, output, input, id = form.stream, form.tenant, ARGV[at + 3], ARGV[at + 4], run.id
  if input == '=' then input = output end
  if not form.record then shared_by(form) end
  n, f = 2, 4
  if run.status == 'queued' then
    run.status, fields[5], fields[6], f = 'running', 'status', 'running', 6
    move(run, tenant.queued, tenant.running)
    lines[1], n = form.run_begun, 3
  end
  lines[n - 1], lines[n] = form.begun, form.completed
  fields[1], fields[2], fields[3], fields[4] = stream.record, form.record, stream.output, output
  if stream.next then
    local entry = add_entry(stream.next, run.trace, 'run', id, 'tenant', tenant.name, 'input', input)
    fields[f + 1], fields[f + 2] = stream.next_record, 'queued 0 0 0 ' .. entry .. ' - - 0'
    f = f + 2
  else
    move(run, tenant.running, tenant.completed)
    run.status = 'completed'
    fields[f + 1], fields[f + 2], fields[f + 3], fields[f + 4] = 'status', 'completed', 'endedAt', now_text
    f = f + 4
    n = n + 1
    lines[n] = at_now .. '{"type":"run.completed"}'
    note(tenant, run, stream.workflow)
    if tell_waiting(run.key, KEYS[1], id, now_text) then replies[i] = DONE_AND_DUE end
  end
  call('HSET', run.key, unpack(fields, 1, f))
  run.trimmed = append(run.key, run.log, run.trimmed, lines, n)
end
`;
