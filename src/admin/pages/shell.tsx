import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { SessionInfo } from "../api.js";
import { announcement } from "./data/announcements.js";
import { useStore } from "./data/store.js";
import { type Loaded, useGet } from "./data/useGet.js";
import { LiveState } from "./parts/liveState.js";
import { Failure } from "./parts/notices.js";
import { Text } from "./parts/text.js";
import { hrefOf, place } from "./routes.js";
import { viewOf, views } from "./views/views.js";

/** The frame of all pages: the header, the navigation, and the page that the URL names. */
export function Shell() {
  const session = useGet<SessionInfo>("session");
  const { view, visit } = useStore(place);
  if (session.value === undefined) return <Entry session={session} />;
  const View: ComponentType = viewOf(view);
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a part of this page, and works without the handler */}
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Header session={session.value} />
      <Navigation current={view} />
      <main id="main" tabIndex={-1}>
        <View key={visit} />
      </main>
      <Announcer />
    </>
  );
}

/** What is shown before the server has answered, or if it refuses. */
function Entry({ session: { error, reload } }: { readonly session: Loaded<SessionInfo> }) {
  const isRefused = error?.status === 401;
  return (
    <main id="main" class="panel entry">
      <h1>Enfilade admin</h1>
      {error === undefined && <p role="status">Loading…</p>}
      {isRefused && (
        <p>You are not signed in, or your session has ended. Sign in to the application, then try again.</p>
      )}
      {error !== undefined && <Failure error={error} retry={reload} />}
    </main>
  );
}

function Header({ session }: { readonly session: SessionInfo }) {
  return (
    <header class="bar">
      <a class="brand" href={hrefOf("overview")}>
        Enfilade admin
      </a>
      <dl>
        <div>
          <dt>Operator</dt>
          <dd>
            <Text value={session.operator} />
          </dd>
        </div>
        <div>
          <dt>Node</dt>
          <dd>
            <Text value={session.node} />
          </dd>
        </div>
        <div>
          <dt>Live</dt>
          <dd>
            <LiveState />
          </dd>
        </div>
      </dl>
    </header>
  );
}

function Navigation({ current }: { readonly current: string }) {
  return (
    <nav class="views" aria-label="Admin">
      <ul>
        {views.map(({ name, title, covers }) => (
          <li key={name}>
            <a href={hrefOf(name)} aria-current={covers.includes(current) ? "page" : undefined}>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The results of actions. The region is always there, since screen readers announce only its changes. */
function Announcer() {
  const latest = useStore(announcement);
  const [hidden, setHidden] = useState(0);
  const isShown = latest !== undefined && latest.count !== hidden;
  useEffect(() => {
    if (!isShown) return undefined;
    const timer = setTimeout(() => setHidden(latest.count), shownMs);
    return () => clearTimeout(timer);
  }, [isShown, latest]);
  return (
    <div class="announcer" role="status">
      {isShown && <p key={latest.count}>{latest.text}</p>}
    </div>
  );
}

const shownMs = 8000;

/** Without a change of the URL, which names the page. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
