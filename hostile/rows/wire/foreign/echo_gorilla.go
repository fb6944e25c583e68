// Sends messages of many lengths with gorilla/websocket, and checks their echoes: `url lengths`.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func echo(connection *websocket.Conn, kind int, sent []byte) {
	check(connection.WriteMessage(kind, sent))
	cameKind, came, err := connection.ReadMessage()
	check(err)
	if cameKind != kind || !bytes.Equal(came, sent) {
		check(fmt.Errorf("the echo of %d bytes is not equal", len(sent)))
	}
}

func main() {
	connection, _, err := websocket.DefaultDialer.Dial(os.Args[1], nil)
	check(err)
	for _, text := range strings.Split(os.Args[2], ",") {
		length, err := strconv.Atoi(text)
		check(err)
		data := make([]byte, length)
		for at := range data {
			data[at] = byte(at % 251)
		}
		echo(connection, websocket.TextMessage, []byte(strings.Repeat("é", length/2)))
		echo(connection, websocket.BinaryMessage, data)
	}
	check(connection.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(3000, "done")))
	_, _, err = connection.ReadMessage()
	if !websocket.IsCloseError(err, 3000) {
		check(fmt.Errorf("expected the close 3000, came %v", err))
	}
	fmt.Println("ok")
}
