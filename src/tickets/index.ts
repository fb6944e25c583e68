/// <reference types="node" preserve="true" />
export { type IssueOptions, type Tickets, type TicketsOptions, tickets } from "./tickets.js";
