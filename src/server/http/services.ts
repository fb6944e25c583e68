import type { ConnectionRequest } from "../../connection/request.js";
import { EnfiladeError, isInstance } from "../../errors.js";
import { runExchange, runSession, type Session } from "../../handler/session/session.js";
import type { Dialects } from "../../protocol/dialects.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { Service } from "../access/service.js";
import type { AnswerTransport } from "./answerTransport.js";
import { endOfStream, json, responseOfAnswer } from "./exchangeResponse.js";

/** The service of a client that reads a room as an event stream: a connection that sends nothing. */
export function eventStreamService(dialects: Dialects): Service {
  return {
    isConnection: true,
    status: 200,
    dialectOf: (_transport, request, eventProtocol) => dialects.ofEventStream(request, eventProtocol),
    run: runSession,
  };
}

/**
 * The service of a client that sends one message.
 *
 * @param key The same for a message that is sent again; `undefined`: it is not sent again.
 * @param canStream Whether the client accepts an event stream as the answer.
 */
export function exchangeService(
  dialects: Dialects,
  transport: AnswerTransport,
  key: string | undefined,
  canStream: boolean,
): Service {
  return {
    isConnection: false,
    status: 200,
    dialectOf(_transport, _request, eventProtocol) {
      const dialect = dialects.ofExchange(key, eventProtocol);
      if (canStream) dialect.onStream = () => transport.beginStream();
      transport.respond = (code, reason) => {
        const answer = dialect.conclude(code, reason);
        return dialect.isStreaming ? endOfStream(answer) : responseOfAnswer(answer);
      };
      return dialect;
    },
    run: runExchange,
  };
}

/**
 * The service of a client that gets JSON, once.
 *
 * @param contentOf Makes the content, when the client is authorized.
 */
export function contentService(
  dialects: Dialects,
  transport: AnswerTransport,
  contentOf: (request: ConnectionRequest) => Promise<object>,
): Service {
  return {
    isConnection: false,
    status: 200,
    dialectOf: (_transport, _request, eventProtocol) => dialects.ofExchange(undefined, eventProtocol),
    run: (session, onEnded) => void answerWithContent(session, transport, contentOf).then(onEnded),
  };
}

/** Resolves when the client has the answer, or has gone. Never rejects. */
async function answerWithContent(
  session: Session,
  transport: AnswerTransport,
  contentOf: (request: ConnectionRequest) => Promise<object>,
): Promise<void> {
  const { member } = session;
  try {
    const content = await contentOf(member.request);
    const response = json(200, content);
    transport.respond = () => response;
    member.close(CloseCode.normal, "");
  } catch (error) {
    closeFailed(session, error);
  }
  member.detachHandler();
  await member.ended;
}

/** While the engine cannot be reached, the client may try again later; any other error is reported. */
function closeFailed(session: Session, error: unknown): void {
  const { member } = session;
  if (isInstance(error, EnfiladeError) && error.code === "ERR_BACKPLANE") {
    member.close(CloseCode.tryAgainLater, "try again later", false);
    return;
  }
  member.close(CloseCode.internalError, "internal error", false);
  session.reportToApp(error, "the history over HTTP");
}
