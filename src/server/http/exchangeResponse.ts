import { endBlock } from "../../protocol/http/eventStreamFraming.js";
import type { ExchangeAnswer, ExchangeFailure, SentMessage } from "../../protocol/http/exchange.js";
import { CloseCode } from "../../wire/closeCodes.js";

/** A complete response to a client that sent one message. */
export interface ExchangeResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

const statusByError = new Map([
  ["internal", 500],
  ["unavailable", 503],
  ["duplicate", 409],
  ["unknown_event", 404],
  ["is_stream", 406],
  ["too_many_streams", 429],
]);

const statusByClose = new Map<number, number>([
  [CloseCode.goingAway, 503],
  [CloseCode.unsupportedData, 415],
  [CloseCode.policyViolation, 408],
  [CloseCode.messageTooBig, 413],
  [CloseCode.internalError, 500],
  [CloseCode.serviceRestart, 503],
  [CloseCode.tryAgainLater, 503],
  [CloseCode.slow, 503],
  [CloseCode.unauthorized, 403],
  [CloseCode.notFound, 404],
]);

/** The response with the answer of the handler. */
export function responseOfAnswer(answer: ExchangeAnswer): ExchangeResponse {
  if ("error" in answer) return responseOfFailure(answer.error);
  if ("reply" in answer) return json(200, answer.reply);
  const [first, ...more] = answer.messages;
  if (first === undefined) return { status: 204, headers: {}, body: "" };
  return more.length > 0 ? json(200, answer.messages) : responseOfMessage(first);
}

/** The end of a stream of items. */
export function endOfStream(answer: ExchangeAnswer): ExchangeResponse {
  const body =
    "error" in answer ? endBlock("error", answer.error) : endBlock("reply", "reply" in answer && answer.reply);
  return { status: 200, headers: {}, body };
}

/** The response to a client whose connection the server closed. */
export function responseOfClose(code: number, reason: string): ExchangeResponse {
  return responseOfFailure({ code: "closed", message: reason, closeCode: code });
}

/** 400 for a code of the application. */
function responseOfFailure(error: ExchangeFailure): ExchangeResponse {
  const { code, closeCode } = error;
  const status = closeCode === undefined ? statusByError.get(code) : statusByClose.get(closeCode);
  const response = json(status ?? 400, { error });
  return status === 503 ? { ...response, headers: { ...response.headers, "retry-after": "5" } } : response;
}

function responseOfMessage(message: SentMessage): ExchangeResponse {
  if ("data" in message) return json(200, message.data);
  if ("text" in message) return typed("text/plain; charset=utf-8", message.text);
  return typed("application/octet-stream", Buffer.from(message.base64, "base64"));
}

/** A response in JSON. */
export function json(status: number, value: unknown): ExchangeResponse {
  return { ...typed("application/json", JSON.stringify(value)), status };
}

function typed(type: string, body: string | Uint8Array): ExchangeResponse {
  return { status: 200, headers: { "content-type": type }, body };
}
