/**
 * The scripts that run in Redis 6.2 or later, or Valkey. A publication is numbered, kept and published in one step.
 *
 * Each room with history has two keys. The log is a stream whose ids are offsets. The hash outlives the log: `e` is the
 * epoch, `o` the last offset, `b` the offset where the epoch began, `r` the run id of the server, `s` the bytes kept.
 */
const prelude = `
local meta, log = KEYS[1], KEYS[2]
local newEpoch, age, rest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', meta, 'e', 'o', 'b', 'r', 's')
local epoch, offset, base = known[1], tonumber(known[2] or 0), tonumber(known[3] or 0)
local bytes = tonumber(known[5] or 0)

local function number(value)
  return string.format('%.0f', value)
end

local function beginEpoch()
  epoch, base = newEpoch, offset
  redis.call('HSET', meta, 'e', epoch, 'o', number(offset), 'b', number(base), 'r', run)
end

if not epoch then
  redis.call('DEL', log)
  beginEpoch()
elseif known[4] ~= run then
  -- Another server, or the same one restarted: it may have lost the last offsets, and would use them again.
  beginEpoch()
end

local function field(entry, name)
  local fields = entry[2]
  for at = 1, #fields, 2 do
    if fields[at] == name then return fields[at + 1] end
  end
  return ''
end

local function trim(size, bytesMax)
  local count, before = redis.call('XLEN', log), bytes
  if count <= 1 then bytes = 0 end
  while count > 0 do
    local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    local length = #field(first, 'd') + 64
    if count == 1 and bytes == 0 then bytes = length end
    local isOld = age >= 0 and (tonumber(field(first, 't')) or 0) + age <= now
    if count <= size and bytes <= bytesMax and not isOld then break end
    redis.call('XDEL', log, first[1])
    count, bytes = count - 1, math.max(0, bytes - length)
  end
  if bytes ~= before then redis.call('HSET', meta, 's', number(bytes)) end
end

local function keepMeta()
  if age >= 0 then
    redis.call('PEXPIRE', meta, number(age + rest))
  elseif offset == 0 then
    redis.call('PEXPIRE', meta, number(rest))
  else
    redis.call('PERSIST', meta)
  end
end
`;

/** Keys: meta, log, channel. Arguments: new epoch, age, rest, size, bytes, `PUBLISH` or `SPUBLISH`, node messages. */
export const appendScript = `${prelude}
local first, last, start = 7, #ARGV, offset
local function addAll()
  for at = first, last do
    local added = redis.pcall('XADD', log, number(offset + 1) .. '-0', 'd', ARGV[at], 't', number(now))
    if type(added) == 'table' and added.err then return added end
    offset = offset + 1
    bytes = bytes + #ARGV[at] + 64
  end
end
local failed = addAll()
if failed then
  -- For example, the server is out of memory. Nothing has been written yet.
  if not (string.find(failed.err, 'WRONGTYPE') or string.find(failed.err, 'equal or smaller')) then return failed end
  -- Another program wrote to the log: nothing in it can be trusted.
  redis.call('DEL', log)
  offset, bytes = start, 0
  beginEpoch()
  addAll()
end
trim(tonumber(ARGV[4]), tonumber(ARGV[5]))
redis.call('HSET', meta, 'o', number(offset), 's', number(bytes))
if age >= 0 then redis.call('PEXPIRE', log, number(age)) else redis.call('PERSIST', log) end
keepMeta()
local message = ARGV[first]
if last > first then
  local joined = {string.char(1)}
  for at = first, last do
    table.insert(joined, struct.pack('>I4', #ARGV[at]))
    table.insert(joined, ARGV[at])
  end
  message = table.concat(joined)
end
redis.call(ARGV[6], KEYS[3], 'p' .. epoch .. ':' .. number(start + 1) .. '\\n' .. message)
return {epoch, number(start + 1)}
`;

/** Keys: meta, log. Arguments: new epoch, age, rest. */
export const topScript = `${prelude}
keepMeta()
return {epoch, number(offset)}
`;

/** Keys: meta, log. Arguments: new epoch, age, rest, `last` or `after`, epoch, offset, limit (-1: all). */
export const readScript = `${prelude}
keepMeta()
trim(math.huge, math.huge)
local mode, since, from, limit = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local entries = {}
if limit ~= 0 then
  local start = since == epoch and from <= offset and '(' .. number(from) .. '-0' or '-'
  local range = mode == 'last' and {'XREVRANGE', log, '+', '-'} or {'XRANGE', log, start, '+'}
  if limit > 0 then
    table.insert(range, 'COUNT')
    table.insert(range, number(limit))
  end
  for _, entry in ipairs(redis.call(unpack(range))) do
    table.insert(entries, entry[1])
    table.insert(entries, field(entry, 'd'))
  end
end
return {epoch, number(offset), number(base), entries}
`;
