/**
 * The scripts that run in Redis 6.2 or later, or Valkey. A publication is numbered, kept and published in one step.
 *
 * Each room with history has two keys. The log is a stream whose ids are offsets. The hash outlives the log: `e` is the
 * epoch, `o` the last offset, `p` the last epochs as `epoch base lost,` with `-` for an unknown number, `r` the run id
 * of the server, `s` the bytes kept, and `n` the nodes that published last as `node:call:offset `. A third key has the
 * ids of publications that a caller may send again.
 */
const prelude = `
local meta, log = KEYS[1], KEYS[2]
local unique, age, rest, isDurable = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local seenEpoch, seenOffset = ARGV[5], tonumber(ARGV[6])
local run = 'durable'
if not isDurable then
  local info = redis.pcall('INFO', 'server')
  run = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
  if not run then return redis.error_reply('NOINFO the user may not call INFO') end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local known = redis.call('HMGET', meta, 'e', 'o', 'p', 'r', 's', 'n')
local epoch, offset, past = known[1], tonumber(known[2] or 0), known[3] or ''
local bytes, senders = tonumber(known[5] or 0), known[6] or ''

local function number(value)
  return string.format('%.0f', value)
end

-- The id begins with the time, in base 36.
local function newEpoch()
  local digits, left = '', now
  while left > 0 do
    local digit = left % 36
    digits = string.sub('0123456789abcdefghijklmnopqrstuvwxyz', digit + 1, digit + 1) .. digits
    left = math.floor(left / 36)
  end
  return digits .. '-' .. unique
end

local function beginEpoch(base)
  epoch = newEpoch()
  past = past .. epoch .. ' ' .. number(base) .. ' -,'
  local _, count = string.gsub(past, ',', '')
  if count > 16 then past = string.gsub(past, '^[^,]*,', '', 1) end
  redis.call('HSET', meta, 'e', epoch, 'o', number(offset), 'p', past, 'r', run)
end

if epoch and (known[4] ~= run or (seenEpoch == epoch and seenOffset > offset)) then
  -- The server has restarted, or is another one: it may have lost the last offsets, and would use them again.
  beginEpoch(offset)
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
  if age >= 0 then redis.call('PEXPIRE', meta, number(age + rest)) else redis.call('PERSIST', meta) end
end
`;

/**
 * Keys: meta, log, ids, channel. Arguments after those of all scripts: size, bytes, `PUBLISH` or `SPUBLISH`, the node,
 * the number of its call, the id of the publication or an empty text, how many ids are kept and how long, and the node
 * messages.
 */
export const appendScript = `${prelude}
local node, call, id = ARGV[10] .. ':', tonumber(ARGV[11]), ARGV[12]
local first, last, start = 15, #ARGV, offset
local at, stop = string.find(senders, node, 1, true)
if at then
  local before, where = string.match(senders, '^(%d+):(%d+)', stop + 1)
  -- The call was sent again after its connection was lost, or has been overtaken by a later one.
  if tonumber(before) == call then return {epoch, where, past} end
  if tonumber(before) > call then return redis.error_reply('STALE a later publication of this node is there') end
  senders = string.sub(senders, 1, at - 1) .. string.sub(senders, string.find(senders, ' ', at, true) + 1)
end
if id ~= '' then
  local where = redis.call('ZSCORE', KEYS[3], id)
  if where and tonumber(where) <= offset then return {epoch, number(tonumber(where)), past} end
end
if not epoch then
  -- In this order: Redis checks its memory for the first write of a script only, and DEL is always allowed.
  beginEpoch(0)
  redis.call('DEL', log)
end
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
  beginEpoch(start)
  addAll()
end
trim(tonumber(ARGV[7]), tonumber(ARGV[8]))
senders = node .. ARGV[11] .. ':' .. number(start + 1) .. ' ' .. string.sub(senders, 1, 2000)
redis.call('HSET', meta, 'o', number(offset), 's', number(bytes), 'n', string.match(senders, '^.* '))
if age >= 0 then redis.call('PEXPIRE', log, number(age)) else redis.call('PERSIST', log) end
keepMeta()
if id ~= '' then
  redis.call('ZADD', KEYS[3], number(offset), id)
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - tonumber(ARGV[13]))
  redis.call('PEXPIRE', KEYS[3], ARGV[14])
end
local message = ARGV[first]
if last > first then
  local joined = {string.char(1)}
  for at = first, last do
    table.insert(joined, struct.pack('>I4', #ARGV[at]))
    table.insert(joined, ARGV[at])
  end
  message = table.concat(joined)
end
redis.call(ARGV[9], KEYS[4], 'p' .. epoch .. ':' .. number(start + 1) .. '\\n' .. message)
return {epoch, number(start + 1)}
`;

/** Keys: meta, log. */
export const topScript = `${prelude}
if not epoch then return {'', '0', ''} end
keepMeta()
return {epoch, number(offset), past}
`;

/** Keys: meta, log. Arguments after those of all scripts: the epoch, and how many publications were lost before it. */
export const confirmScript = `${prelude}
past = string.gsub(past, '([^, ]+) (%d+) ([^,]*),', function(one, base, lost)
  if one == ARGV[7] and lost == '-' then lost = ARGV[8] end
  return one .. ' ' .. base .. ' ' .. lost .. ','
end)
if epoch then redis.call('HSET', meta, 'p', past) end
return {}
`;

/** Keys: meta, log. Arguments after those of all scripts: the position after which a new epoch begins. */
export const renumberScript = `${prelude}
if epoch == ARGV[7] then beginEpoch(math.min(offset, tonumber(ARGV[8]))) end
return {}
`;

/**
 * Keys: meta, log. Arguments after those of all scripts: `last` or `after`, the offset and the epoch of the reader (an
 * empty text: from the first publication), the number of publications (-1: all), and the number of their bytes.
 */
export const readScript = `${prelude}
if not epoch then return {'', '0', '', {}} end
keepMeta()
trim(math.huge, math.huge)
local mode, from, since, limit, most = ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
local isKnown, isPast, base, later = since == '', false, 0, nil
local own = tonumber(string.match(since, '^([0-9a-z]+)-') or 'zzzzzzzzz', 36)
for one, text in string.gmatch(past, '([^, ]+) (%d+) [^,]*,') do
  base = tonumber(text)
  local time = tonumber(string.match(one, '^([0-9a-z]+)-') or '0', 36)
  if time >= own and one ~= since then later = later or base end
  -- A reader of an older epoch continues where a later one began, at the latest.
  if isKnown then from, isPast = math.min(from, base), true end
  if one == since then isKnown = true end
end
if not isKnown or (not isPast and from > offset) then from = later or base end
local start = '(' .. number(from) .. '-0'
local entries, size = {}, 0
local function add(entry)
  local data = field(entry, 'd')
  size = size + #data
  if size > most and #entries > 0 then return false end
  table.insert(entries, entry[1])
  table.insert(entries, data)
  return true
end
if limit ~= 0 and mode == 'last' then
  local range = {'XREVRANGE', log, '+', '-'}
  if limit > 0 then range = {'XREVRANGE', log, '+', '-', 'COUNT', number(limit)} end
  for _, entry in ipairs(redis.call(unpack(range))) do add(entry) end
elseif limit ~= 0 then
  local count, goesOn = 0, true
  while goesOn do
    local left = limit < 0 and 256 or math.min(256, limit - count)
    local page = left > 0 and redis.call('XRANGE', log, start, '+', 'COUNT', number(left)) or {}
    for _, entry in ipairs(page) do
      goesOn = goesOn and add(entry)
      start = '(' .. entry[1]
    end
    count = count + #page
    goesOn = goesOn and left > 0 and #page == left
  end
end
return {epoch, number(offset), past, entries}
`;
